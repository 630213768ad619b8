"""What lies at a path, where what may not be looked at counts as not there.

`Path` says so of a missing file only, and raises where a folder on the way may not be entered or a
name is longer than the system takes.
"""

from pathlib import Path


def is_there(path: Path) -> bool:
    """A file, a folder or anything else."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """A folder, or a link to one."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """A file, or a link to one."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
