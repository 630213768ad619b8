"""Write a file whole or not at all."""

import contextlib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from infer.errors import BadOutputError


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, making its folder; nobody ever sees a part of it.

    Raises:
        BadOutputError: the disk is full, the folder is not writable, …
    """
    write_pieces(path, (content,))


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """The same for a content that comes in pieces, which may be read from `path` itself."""
    # Named after the target alone: started again after a kill, the same name is used and gone.
    # A digest, because the longest names leave no room for an ending.
    digest = hashlib.blake2b(path.name.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    partial = path.with_name(f".{digest}.part")
    try:
        with _opened(partial) as file:
            for piece in pieces:
                file.write(piece)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise BadOutputError(
            f"{path} could not be written: {error.strerror or error}",
            hint="is there space left, and may you write there?",
        ) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")
