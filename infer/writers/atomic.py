"""Write a file whole or not at all."""

import contextlib
import hashlib
from pathlib import Path

from infer.errors import BadOutputError


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, making its folder; nobody ever sees a part of it.

    Raises:
        BadOutputError: the disk is full, the folder is not writable, …
    """
    # Named after the target alone: started again after a kill, the same name is used and gone.
    # A digest, because the longest names leave no room for an ending.
    digest = hashlib.blake2b(path.name.encode(errors="surrogateescape"), digest_size=8).hexdigest()
    partial = path.with_name(f".{digest}.part")
    try:
        try:
            partial.write_bytes(content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise BadOutputError(
            f"{path} could not be written: {error.strerror or error}",
            hint="is there space left, and may you write there?",
        ) from error
