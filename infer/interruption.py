"""Ctrl-C once: finish what is in flight; twice: stop at once."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


class Interruption:
    """Whether the user has asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def watching_for_interruption() -> Iterator[Interruption]:
    """Turn the first Ctrl-C into a request; the second is Python's usual KeyboardInterrupt."""
    interruption = Interruption()
    before = signal.getsignal(signal.SIGINT)

    def request(signum: int, frame: FrameType | None) -> None:
        interruption.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, request)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
