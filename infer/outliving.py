"""A process that scores may die; the run outlives it, and the scan that it died over is a row."""

from collections.abc import Callable, Sequence

from infer.executors.processes import WorkerLost
from infer.journal import Entry
from infer.report_csv import Row
from infer.worker import Attempt, Task, failed_row

Scoring = Callable[[Sequence[Task]], list[Row | Entry]]


def outliving(score: Scoring) -> Scoring:
    """The same scoring; scans whose process has died are scored again, one by one."""

    def surely(chunk: Sequence[Task]) -> list[Row | Entry]:
        try:
            return score(chunk)
        except WorkerLost as lost:
            if len(chunk) > 1:
                return [result for task in chunk for result in surely([task])]
            return [failed_row(Attempt(chunk[0], error=_reason(lost)))]

    return surely


def _reason(lost: WorkerLost) -> str:
    return f"{lost} (is the file damaged? is there enough memory for it?)"
