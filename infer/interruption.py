"""Ctrl-C, SIGTERM or a closed terminal: finish what is in flight; a second one: stop at once."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

# A terminal that closes, or a connection that breaks; Windows has none.
_HANGUP = [signal.SIGHUP] if hasattr(signal, "SIGHUP") else []
SIGNALS = (signal.SIGINT, signal.SIGTERM, *_HANGUP)


class Interruption:
    """Whether the user, or the scheduler, has asked to stop."""

    def __init__(self) -> None:
        self.requested = False
        self.signal = signal.SIGINT  # the one that asked last

    @property
    def exit_code(self) -> int:
        """What shells expect of a process that a signal ended: 128 and the signal's number."""
        return 128 + self.signal


class StoppedAtOnce(KeyboardInterrupt):
    """The second signal: what is in flight is given up."""

    def __init__(self, interruption: Interruption) -> None:
        super().__init__()
        self.exit_code = interruption.exit_code


@contextlib.contextmanager
def watching_for_interruption(tell: Callable[[], None]) -> Iterator[Interruption]:
    """Turn the first signal into a request; the second raises, a third ends the process.

    `tell` is called at the first one, in the middle of whatever is being done.

    Raises:
        StoppedAtOnce: at whatever is being done when the second signal comes.
    """
    interruption = Interruption()

    def request(number: int, frame: FrameType | None) -> None:
        again, interruption.requested = interruption.requested, True
        interruption.signal = signal.Signals(number)
        if again:
            for each in SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            raise StoppedAtOnce(interruption)
        tell()

    # Whoever had hang-ups ignored (nohup) wants the run to outlive its terminal.
    outlived = [each for each in _HANGUP if signal.getsignal(each) is signal.SIG_IGN]
    before = {each: signal.signal(each, request) for each in SIGNALS if each not in outlived}
    try:
        yield interruption
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
