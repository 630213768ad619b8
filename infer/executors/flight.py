"""What is in flight to workers that may be lost, and what becomes of it then.

Pieces are sequences, e.g. of scans. Over a piece that was being worked on when its worker was lost
nobody knows which of its members is to blame, if any is: each is tried again by itself.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")


class Piece(NamedTuple):
    """Some work, and how many workers were lost over it."""

    members: Sequence[Any]
    losses: int = 0


class Queue(Generic[Work, Result]):
    """What is still to be given to a worker: taken from `work` only as it is asked for.

    `instead` gives the result of a member over which more than `retries` workers were lost.
    """

    def __init__(
        self,
        work: Iterable[Sequence[Work]],
        *,
        retries: int,
        instead: Callable[[Work, str], Result],
    ) -> None:
        self._work = iter(work)
        self._again: deque[Piece] = deque()  # not begun
        self._suspects: deque[Piece] = deque()  # begun, and lost
        self._retries = retries
        self._instead = instead

    def take(self, *, beside: bool = False) -> Piece | None:
        """The next piece, what was lost before what is new; None: there is no more.

        `beside`: none that may cost a worker what else it has.
        """
        if self._suspects and not beside:
            return self._suspects.popleft()
        if self._again:
            return self._again.popleft()
        for members in self._work:
            return Piece(members)
        return None

    def put_back(self, piece: Piece) -> None:
        """What was taken and not given to anybody."""
        (self._suspects if piece.losses else self._again).appendleft(piece)

    def lost(self, given: Sequence[Piece], *, at_a_time: int, reason: str) -> list[Result]:
        """A worker that works on `at_a_time` is gone, with what it was given, in this order.

        What it had not begun is as it was. Returns the results of what is not tried again.
        """
        given_up: list[Result] = []
        self._again.extendleft(reversed(given[at_a_time:]))
        for piece in given[:at_a_time]:
            losses = piece.losses + 1
            if losses > self._retries:
                given_up += [
                    self._instead(member, _in_words(losses, reason)) for member in piece.members
                ]
            else:
                self._suspects += [Piece([member], losses) for member in piece.members]
        return given_up


class Tally(NamedTuple):
    """What one machine of several has done."""

    node: str
    workers: int = 0  # that were opened there
    lost: int = 0  # of those, how many were lost
    scans: int = 0
    seconds: float = 0.0  # from its first worker to its last result

    def as_record(self) -> dict[str, Any]:
        """As run.json has it."""
        return {
            **self._asdict(),
            "seconds": round(self.seconds, 3),
            "scans_per_second": round(self.scans_per_second, 3),
        }

    @property
    def scans_per_second(self) -> float:
        """While it took part."""
        return self.scans / self.seconds if self.seconds else 0.0

    def in_words(self) -> str:
        """A line of the summary."""
        lost = f", {self.lost} of them lost" if self.lost else ""
        return (
            f"{self.node}: {self.scans} scans by {self.workers} workers{lost} "
            f"({self.scans_per_second:.3g} scans/s)"
        )


def _in_words(losses: int, reason: str) -> str:
    times = {1: "once", 2: "twice"}.get(losses, f"{losses} times")
    return f"its worker was lost {times}, at last since {reason}"
