"""Spread work over threads of this process.

Decoding, the network and encoding leave Python's interpreter lock, so threads keep every core
busy without the start-up and the copies of processes.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")
WAIT_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LocalExecutor:
    """As many threads as `workers`."""

    workers: int

    def map(
        self, open_worker: Callable[[], Callable[[Work], Result]], work: Iterable[Work]
    ) -> Generator[Result]:
        """Yield one result per piece of work, in any order.

        An exception of a worker ends the iteration here, after what is in flight. After a
        KeyboardInterrupt what is in flight is left alone, and its results are lost.
        """
        pieces = iter(work)
        taking = threading.Lock()
        stopped = threading.Event()
        # Bounded: a slow consumer holds the workers up, results do not pile up in memory.
        results: queue.Queue[Result | BaseException | None] = queue.Queue(2 * self.workers)

        def take() -> Iterator[Work]:
            while not stopped.is_set():
                with taking:
                    try:
                        piece = next(pieces)
                    except StopIteration:
                        return
                yield piece

        def run() -> None:
            try:
                worker = open_worker()
                for piece in take():
                    results.put(worker(piece))
            except BaseException as error:  # to be raised where the results are read
                stopped.set()
                results.put(error)
            finally:
                results.put(None)

        threads = [threading.Thread(target=run, daemon=True) for _ in range(self.workers)]
        for thread in threads:
            thread.start()
        given_up = False
        try:
            yield from self._results(results)
        except KeyboardInterrupt:
            given_up = True
            raise
        finally:
            stopped.set()
            # Python aborts a process that ends while threads compute.
            for thread in threads if not given_up else ():
                while thread.is_alive():
                    with contextlib.suppress(queue.Empty):
                        results.get_nowait()  # nobody else will make room for theirs
                    thread.join(WAIT_SECONDS)

    def _results(self, results: "queue.Queue[Result | BaseException | None]") -> Iterator[Result]:
        """What the threads put, until each of them has said that it ends; then their error."""
        first_error: BaseException | None = None
        running = self.workers
        while running:
            result = results.get()
            if result is None:
                running -= 1
            elif isinstance(result, BaseException):
                first_error = first_error or result
            else:
                yield result
        if first_error is not None:
            raise first_error
