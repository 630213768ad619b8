"""Write a file whole or not at all."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
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
    with in_words(path):
        try:
            with _opened(partial) as file:
                for piece in pieces:
                    file.write(piece)
            partial.replace(path)
        except BaseException:  # an interruption, too, leaves nothing half-written behind
            with contextlib.suppress(OSError):
                partial.unlink()
            raise


def append_bytes(path: Path, content: bytes) -> int:
    """Add `content` to the end of `path`, all of it or nothing; where in the file it begins.

    Raises:
        BadOutputError: the disk is full, the folder is not writable, …
    """
    # Unbuffered: what a full disk refused must not be tried again when the file is closed.
    with in_words(path), path.open("ab", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        left = memoryview(content)
        try:
            while left:
                left = left[file.write(left) :]
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(end)
            raise
    return end


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """What the system has against a change at `path`, as an error for its user.

    Raises:
        BadOutputError: the disk is full, the folder is not writable, …
    """
    try:
        yield
    except OSError as error:
        raise BadOutputError(
            f"{path} could not be written: {error.strerror or error}",
            hint="give the scan, or a folder above it, a shorter name"
            if error.errno == errno.ENAMETOOLONG
            else "is there space left, and may you write there? Then the same command goes on",
        ) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("wb")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("wb")
