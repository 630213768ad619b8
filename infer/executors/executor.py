"""What spreads work over processors: one method, so a cluster can take the threads' place."""

from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar, runtime_checkable

Work = TypeVar("Work")
Result = TypeVar("Result")


@runtime_checkable
class Executor(Protocol):
    """Spreads work."""

    def map(
        self, open_worker: Callable[[], Callable[[Work], Result]], work: Iterable[Work]
    ) -> Generator[Result]:
        """Yield one result per piece of work, in any order.

        Each worker is opened where it works (sessions cannot be sent). Work is taken only when
        a worker is free for it; when `work` ends, what is in flight is finished. Closed before
        that, it returns when nothing is in flight any more.
        """
        ...
