"""What of a cross validation is kept in the repository: tables, curves, folds; no scan's pixels."""

import platform
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from infer.batch import cores
from train.provenance import git_state, library_versions


def keep(
    folder: Path, tables: Iterable[Path], figures: Iterable[Path], folds: Path, *, command: str
) -> Path:
    """Copy them to `folder` with a README that says how they were made; its path."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for table in tables:
        shutil.copyfile(table, folder / table.name)
    for figure in figures:
        shutil.copyfile(figure, folder / "figures" / figure.name)
    shutil.copytree(folds, folder / "folds", dirs_exist_ok=True)
    readme = folder / "README.md"
    readme.write_text(_words(command), encoding="utf-8")
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
            "`folds/` holds one JSON for each fold of each method: its own commit, machine and fit",
            "time are in it. A run starts from them with `--from` and this folder's `folds`; those",
            "whose numbers or data differ from that run's are not used.",
            "",
        ]
    )
