"""Tables and figures of a study that are kept in the repository, and how they were made."""

import platform
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from infer.cores import cores
from train.provenance import git_state, library_versions


def keep_tables(folder: Path, written: Sequence[Path], *, title: str, command: str) -> Path:
    """Copy files without scans' pixels to `folder`, with a README that says what made them."""
    words = made_by(command)  # before anything is written: the tree is still as committed
    folder.mkdir(parents=True, exist_ok=True)
    readme = folder / "README.md"
    readme.unlink(missing_ok=True)  # where it is, all else is what it speaks of
    for path in written:
        shutil.copyfile(path, folder / path.name)
    head = [f"# {title}", "", "Written by a command, not by hand.", ""]
    readme.write_text("\n".join([*head, *words, ""]), encoding="utf-8")
    return readme


def made_by(command: str) -> list[str]:
    """Which command, commit, machine and libraries make what is kept, and when: lines of a list."""
    git = git_state()
    versions = ", ".join(f"{name} {number}" for name, number in library_versions().items())
    changed = ", with changes that are not committed" if git.dirty else ""
    return [
        f"- command: `{command}`",
        f"- commit: {git.commit or 'unknown'}{changed}",
        f"- machine: {platform.system()} {platform.machine()}, {cores()} cores",
        f"- time: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- libraries: {versions}",
    ]
