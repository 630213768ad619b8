"""A copied study that still goes by the other's name is refused, whichever of the two is run."""

from pathlib import Path

import pytest

from export.copied_study import refuse_copies
from train.params import BadParamsError, load

TEXT = (Path(__file__).parents[2] / "studies/head_ct/params.yaml").read_text(encoding="utf-8")
OWN = "studies/mine/params.yaml"


@pytest.fixture(autouse=True)
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("studies/head_ct/params.yaml", TEXT)


def write(path, text):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text, encoding="utf-8")


def copied(*changes):
    text = TEXT
    for before, after in changes:
        assert text.count(before) >= 1
        text = text.replace(before, after)
    write(OWN, text)


NAME = ("study: head_ct\n", "study: mine\n")
FILE = ("params_file: studies/head_ct/params.yaml", f"params_file: {OWN}")


def check_both():
    for path in ("studies/head_ct/params.yaml", OWN):
        refuse_copies(load(path))


def test_a_study_that_is_named_throughout_is_in_order():
    copied(NAME, FILE)
    check_both()


@pytest.mark.parametrize("run", ["studies/head_ct/params.yaml", OWN])
@pytest.mark.parametrize("changes", [(), (NAME,)], ids=["as it was", "under another name"])
def test_a_copy_that_names_the_other_s_file_is_refused(run, changes):
    """DVC reads `params_file` in the copy, and runs what that names."""
    copied(*changes)
    with pytest.raises(BadParamsError, match=f"{OWN}: params_file is studies/head_ct") as refused:
        refuse_copies(load(run))
    assert refused.value.hint == f"write params_file: {OWN}"


@pytest.mark.parametrize("run", ["studies/head_ct/params.yaml", OWN])
def test_two_studies_of_one_name_are_refused(run):
    copied(FILE)
    with pytest.raises(BadParamsError, match="both called head_ct: each would replace"):
        refuse_copies(load(run))


def test_a_study_that_cannot_be_read_is_no_hindrance_to_others():
    write(OWN, "study: [")
    refuse_copies(load("studies/head_ct/params.yaml"))
