"""Jobs in processes of their own, as many at once as the machine bears.

Processor threads are divided between the processes and GPUs are shared out, each process seeing
one. A job that fails is reported and the others go on: the night's work is not lost. None goes on
without the run that it is of.
"""

import multiprocessing
import os
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, NamedTuple

import psutil

from infer.cores import cores
from train.orphans import end_with_parent

MEMORY_PER_JOB = 2 << 30  # bytes: torch, ONNX Runtime and a small fit
JOBS_PER_GPU = 4  # networks this small leave most of a GPU idle
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Done(NamedTuple):
    """A job's end: its result, or what went wrong."""

    job: Any
    result: Any
    error: str  # empty: all went well


def jobs_at_once(gpus: int) -> int:
    """How many the machine bears: a core each, memory for each, and not too many on one GPU."""
    by_memory = int(psutil.virtual_memory().available) // MEMORY_PER_JOB
    by_gpu = JOBS_PER_GPU * gpus if gpus else cores()
    return max(1, min(cores(), by_memory, by_gpu))


def run_jobs(
    work: Callable[[Any], Any], jobs: Sequence[Any], *, at_once: int, gpus: int
) -> Iterator[Done]:
    """Yield each job's end, in any order; with one at a time, in this very process."""
    if at_once == 1:
        yield from (attempt(work, job) for job in jobs)
        return
    waiting = deque(jobs)
    while waiting:
        lost: list[Any] = []
        yield from _spread(work, waiting, at_once, gpus, lost)
        for job in lost:  # one of them is the end of its process: each has one of its own now
            again: list[Any] = []
            yield from _spread(work, deque([job]), 1, gpus, again)
            if again:
                yield Done(job, None, "its process was killed: is there enough memory for it?")


def _spread(
    work: Callable[[Any], Any], waiting: deque[Any], at_once: int, gpus: int, lost: list[Any]
) -> Iterator[Done]:
    """Each job's end, until none waits or a process is killed: `lost` are those under way then.

    No more are handed over than are worked on: whatever the pool has when it breaks is lost.
    """
    context = multiprocessing.get_context("spawn")  # CUDA and threads do not survive a fork
    turns: Any = context.Queue()
    for turn in range(at_once):
        turns.put(turn)
    with (
        _threads(at_once),
        ProcessPoolExecutor(at_once, context, _settle, (turns, gpus)) as pool,
    ):
        try:
            under_way: dict[Future[Done], Any] = {}
            while not lost and (waiting or under_way):
                try:
                    while waiting and len(under_way) < at_once:
                        job = waiting[0]
                        under_way[pool.submit(attempt, work, job)] = job
                        waiting.popleft()
                except BrokenProcessPool:  # killed between two jobs: the next one waits
                    break
                for ended in wait(under_way, return_when=FIRST_COMPLETED).done:
                    yield from _end_of(ended, under_way.pop(ended), lost)
            for ended, job in under_way.items():
                yield from _end_of(ended, job, lost)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _end_of(ended: "Future[Done]", job: Any, lost: list[Any]) -> Iterator[Done]:
    """A job's end; none, and it is lost, where the process was killed over it."""
    try:
        yield ended.result()
    except BrokenProcessPool:
        lost.append(job)


@contextmanager
def _threads(at_once: int) -> Iterator[None]:
    """Processes that are started meanwhile have a share of the cores each.

    Now and not in the process: libraries read this when they are first imported.
    """
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(max(1, cores() // at_once))))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _settle(turns: Any, gpus: int) -> None:
    """In a new process, before torch looks for GPUs: see one of them, by turns."""
    end_with_parent()
    if gpus:
        seen = [it for it in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if it]
        names = seen or [str(number) for number in range(gpus)]
        os.environ["CUDA_VISIBLE_DEVICES"] = names[turns.get() % len(names)]


def attempt(work: Callable[[Any], Any], job: Any) -> Done:
    """A job's end; its traceback is printed here, where it failed."""
    try:
        return Done(job, work(job), "")
    except Exception as error:
        traceback.print_exc()
        return Done(job, None, f"{type(error).__name__}: {error}")
