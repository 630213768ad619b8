"""One process at a time, where two would mix what they write."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from infer.errors import UadError


@contextmanager
def alone_at(path: Path) -> Iterator[None]:
    """Let nobody else write `path`, a file or a folder, who asks in the same way.

    Beside it a lock stays: removed, it could be held by two. When its holder is gone, however he
    went, it is free.

    Raises:
        UadError: another process writes it, or there is nowhere to put a lock.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise UadError(
            f"another process is writing {path}",
            hint="wait for it to end, then type the same command again",
        ) from None
    except OSError as error:
        raise UadError(
            f"{path} cannot be locked: {error.strerror or error}",
            hint=f"may you write in {path.parent}? Is it on a disk of this machine?",
        ) from error
    try:
        yield
    finally:
        lock.release()
