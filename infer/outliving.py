"""A process that scores may die; the run outlives it, and the scan that it died over is a row."""

from collections.abc import Callable, Sequence

from infer.executors.processes import WorkerLost, one_by_one
from infer.journal import Entry
from infer.report_csv import Row
from infer.worker import Attempt, Task, failed_row

Scoring = Callable[[Sequence[Task]], list[Row | Entry]]


def outliving(score: Scoring) -> Scoring:
    """The same scoring; scans whose process has died are scored again, one by one."""
    return one_by_one(score, failed)


def failed(task: Task, lost: WorkerLost) -> Row | Entry:
    """The row of a scan over which a worker was lost for the last time."""
    reason = f"{lost} (is the file damaged? is there enough memory for it?)"
    return failed_row(Attempt(task, error=reason))
