"""What is kept of a cross validation says what made it: the table, and each fold."""

from dataclasses import replace

import pytest

from export import kept_results
from export.crossval_report import Report
from export.kept_tables import keep_tables
from tests.export import fold_results

OLD = {"git_commit": "0" * 40, "git_dirty": False, "machine": "Linux x86_64, 1 threads"}
NEW = {"git_commit": "f" * 40, "git_dirty": True, "machine": "an accelerator"}


def made(method, number, provenance, *, seconds):
    fold = fold_results.fold(method=method, number=number, tests=(), seconds=seconds)
    return replace(fold, provenance=provenance)


@pytest.fixture
def readme(tmp_path):
    results = [
        *(made("cae", at, OLD, seconds=1800.0) for at in range(3)),
        made("random", 0, OLD, seconds=None),
        *(made("cae", at, NEW, seconds=180.0) for at in (3, 4)),
    ]
    report = Report(tables=[], curves=[], pages=[], text="", numbers={})
    return kept_results.keep(tmp_path, report, results, command="a command").read_text()


def test_folds_are_counted_by_the_commit_and_the_machine_that_fitted_them(readme):
    of_old, of_new = (it for it in readme.splitlines() if " h of fits: " in it)
    assert (
        of_old == f"- commit {'0' * 40}, on Linux x86_64, 1 threads, 1.5 h of fits: cae 3, random 1"
    )
    assert of_new == (
        f"- commit {'f' * 40}, with changes that are not committed, on an accelerator, "
        f"0.1 h of fits: cae 2"
    )


def test_the_command_is_said_to_be_the_tables(readme):
    table, folds = readme.split("The folds they are made of")
    assert table.index("The tables and figures:") < table.index("- command: `a command`")
    assert "a command" not in folds


def test_tables_of_two_commands_are_not_said_to_be_of_the_first(tmp_path):
    """Copying them was interrupted: a README that is there speaks of what lies beside it."""
    table = tmp_path / "made" / "table.csv"
    table.parent.mkdir()
    table.write_text("old")
    kept = tmp_path / "kept"
    report = Report(tables=[table], curves=[], pages=[], text="", numbers={})

    kept_results.keep(kept / "crossval", report, [], command="a command")
    keep_tables(kept / "compare", [table], title="Tables", command="a command")
    readmes = [kept / name / "README.md" for name in ("crossval", "compare")]
    assert all("a command" in it.read_text() for it in readmes)
    table.unlink()
    with pytest.raises(FileNotFoundError):
        kept_results.keep(kept / "crossval", report, [], command="another")
    with pytest.raises(FileNotFoundError):
        keep_tables(kept / "compare", [table], title="Tables", command="another")
    assert not any(it.exists() for it in readmes)


def test_figures_of_rows_that_are_gone_go(tmp_path):
    kept, curves = tmp_path / "kept", [tmp_path / "a.png", tmp_path / "b.png"]
    for curve in curves:
        curve.write_bytes(b"picture")
    for some in (curves, curves[:1]):
        report = Report(tables=[], curves=some, pages=[], text="", numbers={})
        kept_results.keep(kept, report, [made("cae", 0, OLD, seconds=1.0)], command="a command")
    assert [it.name for it in (kept / "figures").iterdir()] == ["a.png"]
