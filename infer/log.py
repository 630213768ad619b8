"""uad-infer.log: tracebacks of exceptions that nobody expected; without any, there is no such file.

Several processes of a run may write to it, a record at a time.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

LOGGER = logging.getLogger("uad-infer")


@contextlib.contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write to this file meanwhile, and to nothing else."""
    handler = _log_to(path)
    try:
        yield
    finally:
        LOGGER.propagate = True
        LOGGER.removeHandler(handler)
        handler.close()


def keep_logging_to(path: Path) -> None:
    """The same to the end of this process, if it does not log to a file yet."""
    if not LOGGER.handlers:
        _log_to(path)


def _log_to(path: Path) -> logging.Handler:
    handler = logging.FileHandler(path, delay=True, encoding="utf-8", errors="replace")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.propagate = False
    return handler
