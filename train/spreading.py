"""One piece of work for each scan, on all cores: a worker that dies over a scan costs that scan."""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2

from infer.cores import cores
from infer.executors.executor import Executor
from infer.executors.local import LocalExecutor
from infer.executors.processes import ProcessExecutor, WorkerLost
from infer.memory import keep_freed_memory
from train.scan_files import files_of_scan

Work = TypeVar("Work")
Result = TypeVar("Result")

# Of files to read. With more, workers are processes, which take half a second to start.
FEW_BYTES = 2**26


def spread(
    work: Sequence[Work],
    scans: Sequence[Path],
    *,
    open_reader: Callable[[], Callable[[Work], Result]],
    lost: Callable[[Work, str], Result],
) -> Generator[Result]:
    """Yield one result per piece of work, in any order.

    Args:
        scans: those that are read for it.
        open_reader: makes a worker, in a process of its own where there is much to read: as work
            and results, it must be picklable.
        lost: the result of work over which a process died, and why, in words.
    """
    workers = max(1, min(cores(), len(work)))
    executor: Executor
    if sum(_size_of(it) for it in scans) < FEW_BYTES:
        executor = LocalExecutor(workers)
        return executor.map(open_reader, work)
    executor = ProcessExecutor(workers, partial(_outliving, lost))
    return executor.map(partial(_open_apart, open_reader), work)


def _open_apart(open_reader: Callable[[], Callable[[Work], Result]]) -> Callable[[Work], Result]:
    """In a process of its own: a thread each, and memory is kept for the next scan."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    return open_reader()


def _outliving(
    lost: Callable[[Work, str], Result], read: Callable[[Work], Result]
) -> Callable[[Work], Result]:
    """The same, where a process may die: its scan is one that cannot be read."""

    def surely(work: Work) -> Result:
        try:
            return read(work)
        except WorkerLost as error:
            return lost(work, f"{error} (is the file damaged? is there enough memory for it?)")

    return surely


def _size_of(scan: Path) -> int:
    return sum(file.stat().st_size for file in files_of_scan(scan))
