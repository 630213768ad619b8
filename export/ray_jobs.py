"""Jobs spread over a Ray cluster: one at a time in each of its workers.

Every machine must see the working directory at the same path, where jobs find their data and leave
their results. What Ray starts and what becomes of a worker that is lost: `infer.executors.ray`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from export.job_pool import Done, attempt
from infer.errors import UadError
from infer.executors.elsewhere import opened_with
from infer.executors.ray import RayExecutor, connected, machines
from infer.executors.room import Machine, room_on_cores, room_on_gpus
from train.provenance import repository_root
from train.tracking import ADDRESS

CODE = str(Path(__file__).resolve().parents[1])  # where `train` and `export` are: not installed
RETRIES = 1  # of a job whose worker was lost with it
ROOT = "DVC_ROOT"  # where the runs' store lies, see `train.provenance.repository_root`


class RayJobs:
    """Runs jobs on the cluster that we are connected to; `at_once` says how many it bears."""

    def __init__(self) -> None:
        self._machines = machines()

    @property
    def at_once(self) -> int:
        """A GPU each, or a core each where there is none."""
        return max(1, sum(it.gpus for it in self._machines) or sum(map(_cores, self._machines)))

    def run(self, work: Callable[[Any], Any], jobs: Sequence[Any]) -> Iterator[Done]:
        """Yield each job's end, in any order.

        Raises:
            UadError: workers cannot be started, or do not see the working directory.
        """
        on_gpus = any(it.gpus for it in self._machines)
        room = (room_on_gpus if on_gpus else room_on_cores)(self._machines, most=len(jobs))
        executor = RayExecutor(
            room._replace(at_a_time=1),  # chance is of a process, not of a thread
            most=room.workers,
            retries=RETRIES,
            instead=_lost,
        )
        store = os.environ.get(ADDRESS, "")
        here = partial(_opened, work, Path.cwd(), str(repository_root()), store)
        opening = opened_with([CODE], here)
        ended: Iterator[list[Done]] = executor.map(opening, ([job] for job in jobs))
        for some in ended:
            yield from some


@contextmanager
def ray_jobs(address: str | None) -> Iterator[RayJobs]:
    """A connection to the cluster at an address, or to one of this machine alone, meanwhile.

    Raises:
        MissingExtraError: Ray is not installed.
        UnknownChoiceError: there is no cluster at this address.
    """
    with connected(address):
        yield RayJobs()


def _cores(machine: Machine) -> int:
    return machine.cores


def _lost(job: Any, reason: str) -> Done:
    """What is said of a job whose workers were lost, each with it."""
    return Done(job, None, f"{reason}, {RETRIES + 1} times: is there enough memory for it?")


def _opened(
    work: Callable[[Any], Any], folder: Path, root: str, store: str
) -> Callable[[Sequence[Any]], list[Done]]:
    """In a new process of the cluster: go where the jobs' files are."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise UadError(
            f"a worker does not see the working directory {folder}: {error.strerror}",
            hint="every machine of the cluster must see it at the same path",
        ) from error
    os.environ[ROOT] = root
    if store:  # else that of the repository, whatever the cluster was started with
        os.environ[ADDRESS] = store
    else:
        os.environ.pop(ADDRESS, None)
    return lambda jobs: [attempt(work, job) for job in jobs]
