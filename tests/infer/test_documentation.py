"""docs/uad-infer.md has every option, column, exit code and refusal, as the code has them."""

import ast
import re
from pathlib import Path

import click
import pytest
import typer

from infer import cli, errors
from infer.interruption import SIGNALS
from infer.report_csv import Row
from infer.slices_csv import SliceTable

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/uad-infer.md").read_text()
DICOM_PAGE = (ROOT / "docs/dicom.md").read_text()
SOURCES = sorted((ROOT / "infer").rglob("*.py"))
ERRORS = {it.__name__ for it in vars(errors).values() if isinstance(it, type)}
OF_NO_USER = {
    # From a Python program only, which the command's options cannot cause.
    *("volume counts from 0", "max-voxels must be at least 1", "max-failures must be at least 0"),
    *("… must be at least 1", "an array of", "the array holds values", "spacing_mm must be"),
    # `python -m infer.phantom`, which draws scans.
    *("scans must be 1 to", "cannot write", "is not empty"),
}


def section(title, page=PAGE):
    return page.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text):
    """The cells of all tables, without their heads."""
    lines = re.sub(r"^\|.*\n\|[-| ]+\|$", "", text, flags=re.M).splitlines()
    return [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
        if line.startswith("|")
    ]


def code_words(cell):
    return re.findall(r"`([^`]+)`", cell)


OPTIONS = {code_words(row[0])[0]: row for row in rows(section("Options"))}
PARAMETERS = {
    param.opts[-1]: param
    for param in typer.main.get_command(cli.app).params
    if param.opts[-1].startswith("--")
}


def values(param):
    """What the page must say of an option's values; None: what it likes."""
    if param.metavar:
        return f"`{param.metavar}`"
    if param.is_flag:
        return ""
    match param.type:
        case click.Choice():
            return ", ".join(f"`{choice}`" for choice in param.type.choices)
        case click.IntRange():
            return f"a whole number from {param.type.min}"
        case click.types.FloatParamType():
            return "a number"
    return None


def test_the_page_has_every_option():
    assert OPTIONS.keys() - {"--help"} == PARAMETERS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_options_values_and_default_are_those_of_the_command(name):
    param, (_, said, default, meaning) = PARAMETERS[name], OPTIONS[name]
    assert values(param) in (None, said)
    assert meaning
    if param.is_flag:
        assert default == "no" or name == "--version"
    elif param.default is not None:
        assert default == f"`{param.default}`"
    else:
        assert "`" not in default


def test_the_page_has_every_column_of_the_report_in_order():
    described = rows(section("Columns of `report.csv`"))
    assert [name for row in described for name in code_words(row[0])] == list(Row._fields)
    for names, unit, _ in described:
        is_number = "float" in str(Row.__annotations__[code_words(names)[0]])
        assert unit or not is_number, names


def test_the_page_has_every_column_of_the_slices(tmp_path):
    SliceTable(tmp_path / "slices.csv", ["…"]).start([])
    described = rows(section("Columns of `slices.csv`"))
    header = (tmp_path / "slices.csv").read_text(encoding="utf-8").strip()
    assert ",".join(code_words(row[0])[0] for row in described) == header


def test_the_page_has_every_exit_code():
    used = {cli.FAILED_SCANS, cli.INCOMPLETE, cli.TOO_MANY_FAILURES, errors.UadError.exit_code}
    interrupted = {128 + each for each in SIGNALS}
    codes = {int(code) for code, _ in rows(section("Exit codes"))}
    assert codes == {0, cli.BUG} | used | interrupted
    assert {getattr(errors, name).exit_code for name in ERRORS} == {errors.UadError.exit_code}


def text_of(node):
    """A text of the code; what stands for a value is "…"."""
    match node:
        case ast.Constant(value=str(words)):
            return words
        case ast.JoinedStr(values=pieces):
            return "".join(text_of(piece) for piece in pieces)
        case ast.BinOp(left=left, right=right):
            return text_of(left) + text_of(right)
    return "…"


def texts():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr | ast.Constant | ast.BinOp):
                yield text_of(node)


def messages():
    """What errors for users are made of; those that only hand on another's words are left out."""
    raised = ERRORS | {"Damage", "BadTiffError"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            is_error = isinstance(node, ast.Call) and getattr(node.func, "id", "") in raised
            if is_error and node.args and re.search(r"\w", words := text_of(node.args[0])):
                yield words


REFUSALS = [row[0] for row in rows(section("Refusals"))]
OF_DICOM = [row[0] for row in rows(section("What is refused", DICOM_PAGE))]


def test_the_messages_are_found():
    assert len(set(messages())) > 100


@pytest.mark.parametrize("words", sorted(set(messages())))
def test_every_refusal_is_on_the_page(words):
    assert any(known in words for known in (*REFUSALS, *OF_DICOM, *OF_NO_USER))


@pytest.mark.parametrize("words", REFUSALS)
def test_what_the_page_says_is_what_the_code_says(words):
    assert any(words in text for text in texts())


def test_no_refusal_is_there_twice():
    assert len(set(REFUSALS)) == len(REFUSALS)
