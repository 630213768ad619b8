"""What of a cross validation is kept in the repository: tables, curves, folds; no scan's pixels."""

import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from export import fold_files
from export.crossval_report import Report
from export.fold_result import FoldResult
from infer.batch import cores
from train.provenance import git_state, library_versions


def keep(folder: Path, report: Report, results: Sequence[FoldResult], *, command: str) -> Path:
    """Copy them to `folder` with a README that says how they were made; its path."""
    words = _words(command)  # before anything is written: the tree is still as it was committed
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for table in report.tables:
        shutil.copyfile(table, folder / table.name)
    for curve in report.curves:
        shutil.copyfile(curve, folder / "figures" / curve.name)
    fold_files.keep(folder / "folds", results)
    readme = folder / "README.md"
    readme.write_text(words, encoding="utf-8")
    return readme


def _words(command: str) -> str:
    git = git_state()
    versions = ", ".join(f"{name} {number}" for name, number in library_versions().items())
    changed = ", with changes that are not committed" if git.dirty else ""
    return "\n".join(
        [
            "# Results of the cross validation",
            "",
            "Written by a command, not by hand; how to read them is in `crossval.md`.",
            "",
            f"- command: `{command}`",
            f"- commit: {git.commit or 'unknown'}{changed}",
            f"- machine: {platform.system()} {platform.machine()}, {cores()} cores",
            f"- time: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"- libraries: {versions}",
            "",
            "`folds/` holds the folds of each method, compressed: one line of JSON each, with",
            "its commit, machine and fit time. A run starts from them with `--from` and that",
            "folder; what differs from that run in numbers or data is not used.",
            "",
        ]
    )
