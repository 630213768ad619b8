"""What of a cross validation is kept in the repository: tables, curves, folds; no scan's pixels."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from export import fold_files
from export.crossval_report import Report
from export.fold_result import FoldResult
from export.kept_tables import made_by


def keep(folder: Path, report: Report, results: Sequence[FoldResult], *, command: str) -> Path:
    """Copy them to `folder` with a README that says how they were made; its path."""
    # Before anything is written: the tree is still as it was committed.
    words = _words(command, results)
    readme = folder / "README.md"
    readme.unlink(missing_ok=True)  # where it is, all else is what it speaks of
    shutil.rmtree(folder / "figures", ignore_errors=True)  # of rows that are no longer there
    (folder / "figures").mkdir(parents=True)
    for table in report.tables:
        shutil.copyfile(table, folder / table.name)
    for curve in report.curves:
        shutil.copyfile(curve, folder / "figures" / curve.name)
    fold_files.keep(folder / "folds", results)
    readme.write_text(words, encoding="utf-8")
    return readme


def _words(command: str, results: Sequence[FoldResult]) -> str:
    return "\n".join(
        [
            "# Results of the cross validation",
            "",
            "Written by a command, not by hand; how to read them is in `crossval.md`.",
            "",
            "The tables and figures:",
            "",
            *made_by(command),
            "",
            "The folds they are made of, as each says of itself; they may be older than the tables",
            "(the command without `--only-table` fits those that are missing):",
            "",
            *_origins(results),
            "",
            "`folds/` holds the folds of each method, compressed: one line of JSON each, with",
            "its commit, machine and fit time. A run starts from them with `--from` and that",
            "folder; what differs from that run in numbers or data is not used.",
            "",
        ]
    )


def _origins(results: Sequence[FoldResult]) -> list[str]:
    """A line for each commit and machine: whose folds, how many, and how long they were fitted."""
    by_origin: dict[tuple[str, str], list[FoldResult]] = {}
    for it in results:
        commit = it.provenance["git_commit"] or "unknown"
        changed = ", with changes that are not committed" if it.provenance["git_dirty"] else ""
        machine = str(it.provenance["machine"])
        by_origin.setdefault((f"{commit}{changed}", machine), []).append(it)
    return [
        f"- commit {commit}, on {machine}, {_hours(own)} h of fits: "
        + ", ".join(f"{name} {count}" for name, count in Counter(it.method for it in own).items())
        for (commit, machine), own in by_origin.items()
    ]


def _hours(results: Sequence[FoldResult]) -> str:
    return f"{sum(it.fit_seconds or 0 for it in results) / 3600:.1f}"
