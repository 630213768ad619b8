"""Which task of a job array this is: what SLURM, PBS, LSF and Grid Engine say in the environment.

Each numbers tasks in a way of its own. Of all, only what says how many tasks there are gives a part
by itself; where the scheduler does not say it (PBS), or only some tasks of a job are repeated,
`auto/N` takes the task's own number, from 1, as the part of N.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from infer.errors import UnknownChoiceError
from infer.part import Part

AUTO = "auto"
HINT = "in a job array of tasks 1 to 10, --part auto/10; elsewhere --part I/N"
Environment = Mapping[str, str]


class Numbering(NamedTuple):
    """A task's number among those of its array, as the scheduler gives them."""

    task: int
    first: int
    last: int
    step: int


class Scheduler(NamedTuple):
    """Where a scheduler says which task of an array this is."""

    name: str
    variable: str  # set, to a number, in the tasks of an array only
    numbering: Callable[[Environment], Numbering] | None  # None: it does not say how many


def _slurm(environment: Environment) -> Numbering:
    named = ("ID", "MIN", "MAX", "STEP")
    task, first, last, step = (_number(environment, f"SLURM_ARRAY_TASK_{it}") for it in named)
    count = _number(environment, "SLURM_ARRAY_TASK_COUNT")
    if step < 1 or (last - first) // step + 1 != count:  # --array=1,2,7
        raise UnknownChoiceError(
            f"--part auto: SLURM's array has {count} tasks from {first} to {last}, which are not "
            "evenly numbered",
            hint=HINT,
        )
    return Numbering(task, first, last, step)


def _grid_engine(environment: Environment) -> Numbering:
    named = ("ID", "FIRST", "LAST", "STEPSIZE")
    return Numbering(*(_number(environment, f"SGE_TASK_{it}") for it in named))


def _lsf(environment: Environment) -> Numbering:
    named = ("LSB_JOBINDEX", "LSB_JOBINDEX_END", "LSB_JOBINDEX_STEP")
    task, last, step = (_number(environment, it) for it in named)
    return Numbering(task, 1, last, step)  # it does not say the first


SCHEDULERS = (
    Scheduler("SLURM", "SLURM_ARRAY_TASK_ID", _slurm),
    Scheduler("PBS", "PBS_ARRAY_INDEX", None),
    Scheduler("Torque", "PBS_ARRAYID", None),
    Scheduler("LSF", "LSB_JOBINDEX", _lsf),
    Scheduler("Grid Engine", "SGE_TASK_ID", _grid_engine),
)


def part_from(text: str, environment: Environment) -> Part:
    """The part that `auto`, or `auto/N`, means in this task.

    Raises:
        UnknownChoiceError: this is no task of an array, or it is not told which of how many.

    >>> part_from("auto/10", {"PBS_ARRAY_INDEX": "3"})
    Part(number=3, of=10)
    """
    scheduler = _only_scheduler(environment)
    if text != AUTO:
        return _part_of(text, _number(environment, scheduler.variable), scheduler)
    if scheduler.numbering is None:
        raise UnknownChoiceError(
            f"--part auto: {scheduler.name} does not say how many tasks the array has",
            hint="number them from 1 to N, and say --part auto/N",
        )
    task, first, last, step = scheduler.numbering(environment)
    if step < 1 or not first <= task <= last or (task - first) % step:
        raise UnknownChoiceError(
            f"--part auto: {scheduler.name} calls this task {task} of {first} to {last} in steps "
            f"of {step}, which cannot be",
            hint=HINT,
        )
    return Part((task - first) // step + 1, (last - first) // step + 1)


def _only_scheduler(environment: Environment) -> Scheduler:
    """The one that started this task; 0 (LSF) or "undefined" (Grid Engine) say: no array."""
    found = [it for it in SCHEDULERS if _is_task(it, environment)]
    if not found:
        variables = ", ".join(it.variable for it in SCHEDULERS)
        raise UnknownChoiceError(
            "--part auto: this is no task of a job array, none of these is set: " + variables,
            hint=HINT,
        )
    if len(found) > 1:
        raise UnknownChoiceError(
            "--part auto: several schedulers say which task this is: "
            + ", ".join(it.variable for it in found),
            hint="say --part I/N",
        )
    return found[0]


def _is_task(scheduler: Scheduler, environment: Environment) -> bool:
    value = environment.get(scheduler.variable, "")
    return value not in ("", "undefined") and not (scheduler.name == "LSF" and value == "0")


def _part_of(text: str, number: int, scheduler: Scheduler) -> Part:
    said = re.fullmatch(rf"{AUTO}/(\d{{1,9}})", text, re.ASCII)
    if said is None or not 1 <= number <= int(said[1]):
        raise UnknownChoiceError(
            f"--part {text}: {scheduler.name} calls this task {number}, which is no part of it",
            hint="number the array's tasks from 1 to N, and say --part auto/N",
        )
    return Part(number, int(said[1]))


def _number(environment: Environment, variable: str) -> int:
    value = environment.get(variable, "")
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII):
        raise UnknownChoiceError(
            f"--part auto: {variable} is {value!r}, not a number", hint="say --part I/N"
        )
    return int(value)
