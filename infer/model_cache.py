"""Models from elsewhere, kept on this machine by their hash: fetched once for each content.

`$XDG_CACHE_HOME/uad/models` (`~/.cache/uad/models`) has a folder for each model, called after its
SHA-256, and notes that say which address meant it. Whatever is in it may be removed at any time.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from infer.digest import digest_of
from infer.writers.atomic import in_words

ENDING = ".onnx"


def keep(fresh: Path, name: str) -> Path:
    """Keep a copy of a file that was just fetched, whole or not at all; where it is.

    Raises:
        BadOutputError: the cache cannot be written.
    """
    kept = path_of(digest_of(fresh), name)
    if not is_intact(kept):
        _place(kept, partial(shutil.copyfile, fresh))
    return kept


def note(path: Path, content: bytes) -> None:
    """Write down what was kept, likewise."""
    _place(path, lambda fresh: fresh.write_bytes(content))


def is_intact(kept: Path) -> bool:
    """Is the file there, with the bytes that it was kept with?"""
    return digest_of(kept) == kept.parent.name


def path_of(sha256: str, name: str) -> Path:
    """Where a model of this hash is, if it is kept."""
    return cache() / sha256 / name


def cache() -> Path:
    """The folder of all models, and of the notes about them."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "uad" / "models"


def _place(target: Path, fill: Callable[[Path], object]) -> None:
    """Put a file there that `fill` writes.

    Each process has a name of its own for what is not whole yet: a job's parts begin at once.
    """
    with in_words(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache(), prefix=".new-") as folder:
            fresh = Path(folder) / "file"
            fill(fresh)
            fresh.replace(target)
