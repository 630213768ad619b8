"""`--executor ray`: the scans of a run scored by the machines of a cluster."""

import contextlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path

from infer.errors import UnknownChoiceError
from infer.executors.flight import Tally
from infer.executors.processes import WorkerLost
from infer.executors.ray import RayExecutor, connected, machines
from infer.executors.room import Room, room_on_cores, room_on_gpus
from infer.journal import Entry
from infer.outliving import failed
from infer.report_csv import Row
from infer.sending import sent
from infer.storage.address import Place
from infer.worker import Task, Worker

RETRIES = 2  # unless asked for otherwise


class Cluster:
    """A cluster, divided among workers for one run."""

    def __init__(self, room: Room, *, most: int, retries: int) -> None:
        self._room = room
        self._executor = RayExecutor(room, most=most, retries=retries, instead=_failed)

    @property
    def workers(self) -> int:
        """How many there are at the start."""
        return self._room.workers

    @property
    def threads(self) -> int:
        """What a batch may use of a processor."""
        return 1 if self._room.gpus else self._room.cores

    def spread(
        self, worker: Worker, folder: Place, chunks: Iterable[list[Task]]
    ) -> Generator[list[Row | Entry]]:
        """What workers like this one make of chunks of scans; see `Executor.map`."""
        here = folder if isinstance(folder, Path) else None
        return self._executor.map(sent(worker, here), chunks)

    def tallies(self) -> Sequence[Tally]:
        """What each machine has done."""
        return list(self._executor.tallies.values())


@contextlib.contextmanager
def opened_cluster(
    address: str | None, *, most: int, retries: int | None, on_gpu: bool
) -> Iterator[Cluster]:
    """The cluster, held for one run of at most so many workers.

    Raises:
        MissingExtraError: Ray is not installed.
        UnknownChoiceError: there is no such cluster, or it has no room for a worker.
    """
    with connected(address):
        room = (room_on_gpus if on_gpu else room_on_cores)(machines(), most=most)
        if not room.workers:
            raise UnknownChoiceError(
                f"no machine of the Ray cluster has a {'GPU' if on_gpu else 'core'}",
                hint="ray status says what it has; --device cpu needs no GPU",
            )
        yield Cluster(room, most=most, retries=RETRIES if retries is None else retries)


def _failed(task: Task, reason: str) -> Row | Entry:
    return failed(task, WorkerLost(reason))
