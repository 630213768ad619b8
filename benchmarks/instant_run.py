"""A run whose scans are names only and whose worker answers at once: the driver's work, alone.

Everything that the process which leads a run does is done for real: finding, naming, giving out,
writing down, sorting, the page. In place of what lies on the disk stand names; in place of a worker
a function that makes up a finding.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from infer import batch, chunks
from infer.cli import app
from infer.executors.local import LocalExecutor
from infer.journal import Entry
from infer.readers.discovery import Found
from infer.readers.source import Source
from infer.readers.sources import Sources
from infer.report_csv import Row
from infer.traits import Traits
from infer.worker import Task, Worker

IN_A_FOLDER = 1_000
CONTENT = "0" * 64  # in place of a digest


def run(count: int, model: str, workers: int, out: str) -> None:
    """Score so many scans that do not exist."""
    with (
        mock.patch.object(batch, "scans_in", return_value=Found(Sources(names(count)), {})),
        mock.patch.object(batch, "ready", instant),
        mock.patch.object(batch, "open_executor", threads),
        mock.patch.object(chunks, "is_one_slice", small),
        mock.patch.object(Source, "size", small),
    ):
        command = ["simulated", "--model", model, "--out", out, "--workers", str(workers)]
        quiet = ("--device", "cpu", "--overlays", "none", "--quiet")
        if code := app([*command, *quiet], standalone_mode=False):
            sys.exit(code)


def names(count: int) -> Iterator[tuple[str, Source]]:
    """As they would be found."""
    for at in range(count):
        name = f"{at // IN_A_FOLDER:04}/{at:07}.png"
        yield name, Source(Path("simulated", name))


def small(source: Source) -> int:
    """A picture of one byte. (What `mock` makes by itself would keep every call.)"""
    return 1


def threads(workers: int, *, apart: bool) -> LocalExecutor:
    """What is patched here would not hold in other processes."""
    return LocalExecutor(workers)


def instant(worker: Worker) -> Callable[[Sequence[Task]], list[Any]]:
    """A worker that has looked at a scan before it was given one."""

    def score(chunk: Sequence[Task]) -> list[Any]:
        return [finding(worker.key, task) for task in chunk]

    return score


def finding(key: str, task: Task) -> Entry:
    """As of a picture without lesion."""
    row = Row(
        scan=task.scan,
        status="ok",
        anomalous=False,
        score=0.123456789,
        threshold=0.5,
        normal_percentile=50.0,
        peak_x=12,
        peak_y=34,
        peak_value=0.456789,
        lesions=0,
        anomaly_area_px=0,
        slices=1,
        worst_slice=0,
        mask=task.mask,
        seconds=0.001,
    )
    traits = Traits(0.3, 0.1, (1, 32, 32), (0.0, 0.0, 0.0))
    return Entry(key, CONTENT, {task.mask: CONTENT}, row, "0,0.123457\n", traits)
