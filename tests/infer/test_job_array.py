"""Job arrays: every task of an array, as its scheduler numbers it, gets a part of its own."""

import pytest

from infer.errors import UnknownChoiceError
from infer.job_array import part_from


def slurm(tasks, *, step):
    """What SLURM sets in each task of --array=FIRST-LAST:STEP."""
    shared = {
        "SLURM_ARRAY_TASK_COUNT": len(tasks),
        "SLURM_ARRAY_TASK_MIN": tasks[0],
        "SLURM_ARRAY_TASK_MAX": tasks[-1],
        "SLURM_ARRAY_TASK_STEP": step,
    }
    return [shared | {"SLURM_ARRAY_TASK_ID": task} for task in tasks]


def grid_engine(tasks, *, last, step):
    """What Grid Engine sets in each task of -t FIRST-LAST:STEP."""
    shared = {"SGE_TASK_FIRST": tasks[0], "SGE_TASK_LAST": last, "SGE_TASK_STEPSIZE": step}
    return [shared | {"SGE_TASK_ID": task} for task in tasks]


def lsf(tasks, *, last, step):
    """What LSF sets in each task of NAME[1-LAST:STEP]."""
    shared = {"LSB_JOBINDEX_END": last, "LSB_JOBINDEX_STEP": step}
    return [shared | {"LSB_JOBINDEX": task} for task in tasks]


def parts(environments, said="auto"):
    return [
        part_from(said, {name: str(value) for name, value in environment.items()})
        for environment in environments
    ]


@pytest.mark.parametrize(
    "environments",
    [
        slurm([1, 2, 3, 4], step=1),
        slurm([0, 1, 2, 3], step=1),
        slurm([5, 8, 11, 14], step=3),
        grid_engine([1, 2, 3, 4], last=4, step=1),
        grid_engine([2, 4, 6, 8], last=9, step=2),
        lsf([1, 2, 3, 4], last=4, step=1),
        lsf([1, 11, 21, 31], last=40, step=10),
    ],
    ids=["slurm", "slurm-from-0", "slurm-steps", "sge", "sge-steps", "lsf", "lsf-steps"],
)
def test_the_tasks_of_an_array_are_all_parts_of_it(environments):
    assert parts(environments) == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("variable", ["PBS_ARRAY_INDEX", "PBS_ARRAYID", "SLURM_ARRAY_TASK_ID"])
def test_where_it_is_said_how_many_there_are_the_tasks_number_is_the_part(variable):
    assert parts([{variable: task} for task in (3, 10)], "auto/10") == [(3, 10), (10, 10)]


def test_a_task_that_is_repeated_alone_keeps_its_part():
    assert parts(slurm([3], step=1), "auto/10") == [(3, 10)]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SGE_TASK_ID": "undefined", "SGE_TASK_FIRST": "undefined"},  # a job without an array
        {"LSB_JOBINDEX": "0", "LSB_JOBINDEX_END": "0"},  # likewise
        {"SLURM_JOB_ID": "77"},
    ],
    ids=["no-scheduler", "sge-job", "lsf-job", "slurm-job"],
)
@pytest.mark.parametrize("said", ["auto", "auto/4"])
def test_outside_of_an_array_it_is_refused(environment, said):
    with pytest.raises(UnknownChoiceError, match="this is no task of a job array"):
        part_from(said, environment)


def test_a_scheduler_that_does_not_say_how_many_is_refused_with_what_to_do():
    with pytest.raises(UnknownChoiceError, match="how many tasks") as refused:
        part_from("auto", {"PBS_ARRAY_INDEX": "3"})
    assert "--part auto/N" in refused.value.hint


def test_tasks_that_are_not_evenly_numbered_are_refused_in_each_of_them():
    shared = {"SLURM_ARRAY_TASK_COUNT": 3, "SLURM_ARRAY_TASK_MIN": 1, "SLURM_ARRAY_TASK_MAX": 7}
    for task in (1, 2, 7):  # --array=1,2,7
        with pytest.raises(UnknownChoiceError, match="not evenly numbered"):
            parts([shared | {"SLURM_ARRAY_TASK_STEP": 1, "SLURM_ARRAY_TASK_ID": task}])


@pytest.mark.parametrize("task", [0, 11])
def test_a_task_beyond_the_parts_is_refused(task):
    with pytest.raises(UnknownChoiceError, match="is no part of it"):
        parts([{"PBS_ARRAY_INDEX": task}], "auto/10")


def test_a_task_between_the_steps_is_refused():
    with pytest.raises(UnknownChoiceError, match="cannot be"):
        parts(
            [{"LSB_JOBINDEX": 2, "LSB_JOBINDEX_END": 9, "LSB_JOBINDEX_STEP": 4}],
        )


@pytest.mark.parametrize("said", ["auto/", "auto/x", "auto/0", "automatic"])
def test_what_is_neither_auto_nor_auto_of_n_is_refused(said):
    with pytest.raises(UnknownChoiceError, match="is no part of it"):
        parts([{"PBS_ARRAY_INDEX": 1}], said)


def test_a_variable_that_is_no_number_is_refused_by_name():
    with pytest.raises(UnknownChoiceError, match="SGE_TASK_STEPSIZE is 'undefined'"):
        parts([{"SGE_TASK_ID": 1, "SGE_TASK_FIRST": 1, "SGE_TASK_LAST": 3,
                "SGE_TASK_STEPSIZE": "undefined"}])  # fmt: skip


def test_two_schedulers_at_once_are_refused():
    with pytest.raises(UnknownChoiceError, match="several schedulers"):
        parts([{"PBS_ARRAY_INDEX": 1, "SLURM_ARRAY_TASK_ID": 1}], "auto/2")
