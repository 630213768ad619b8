"""How far a run has come: a bar on a terminal, nothing elsewhere."""

import sys
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from infer.executors.flight import Tally
from infer.printable import printable
from infer.report_csv import Row


@runtime_checkable
class Progress(Protocol):
    """Is told how a run goes."""

    def tell(self, words: str) -> None:
        """What the user must know before anything is scored."""
        ...

    def prepare(self, words: str) -> None:
        """This is done before any scan is scored; with many files it may take minutes."""
        ...

    def begin(self, *, total: int, done: int) -> None:
        """A run starts on `total` scans, of which `done` were done before."""
        ...

    def advance(self, rows: Sequence[Row], machines: Sequence[Tally] = ()) -> None:
        """These scans are finished; of a cluster, what each machine has done so far."""
        ...

    def end(self) -> None:
        """No more will come."""
        ...


class Silence:
    """Tells nobody."""

    def tell(self, words: str) -> None:
        """Say nothing."""

    def prepare(self, words: str) -> None:
        """Say nothing."""

    def begin(self, *, total: int, done: int) -> None:
        """Say nothing."""

    def advance(self, rows: Sequence[Row], machines: Sequence[Tally] = ()) -> None:
        """Say nothing."""

    def end(self) -> None:
        """Say nothing."""


class Words(Silence):
    """Says on standard error what must be known, and no more."""

    def tell(self, words: str) -> None:
        """A line of its own."""
        print(printable(words), file=sys.stderr)


class Bar:
    """A bar with throughput and the number of failed scans, on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            Remaining(),
            TextColumn("[red]{task.fields[failures]}"),
            TextColumn("{task.fields[machines]}", markup=False),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task("", total=None, speed="", failures="", machines="")
        self._begun = False
        self._scored = self._failed = 0
        self._start = time.perf_counter()

    def tell(self, words: str) -> None:
        """A line of its own, above the bar."""
        self._bar.console.print(printable(words), markup=False, highlight=False)

    def prepare(self, words: str) -> None:
        """Show a bar that moves without end."""
        self._bar.update(self._task, description=words)
        self._bar.start()

    def begin(self, *, total: int, done: int) -> None:
        """Show the bar."""
        self._start = time.perf_counter()
        self._begun = True
        self._bar.reset(self._task, total=total, completed=done, description="scoring")
        self._bar.start()

    def advance(self, rows: Sequence[Row], machines: Sequence[Tally] = ()) -> None:
        """Move the bar."""
        self._scored += len(rows)
        self._failed += sum(row.status == "failed" for row in rows)
        speed = self._scored / max(time.perf_counter() - self._start, 1e-9)
        failures = f"{self._failed} failed" if self._failed else ""
        self._bar.update(
            self._task,
            advance=len(rows),
            speed=f"{speed:.3g} scans/s",
            failures=failures,
            machines=_in_words(machines),
        )

    def end(self) -> None:
        """Leave the bar as it stands; of one that never began, nothing."""
        self._bar.live.transient = not self._begun
        self._bar.stop()


_MOST_MACHINES = 4  # that are named; of more it is said how many


def _in_words(machines: Sequence[Tally]) -> str:
    if len(machines) > _MOST_MACHINES:
        return f"{len(machines)} machines"
    return " · ".join(f"{it.node} {it.scans_per_second:.3g}/s" for it in machines)


def open_progress(*, quiet: bool) -> Progress:
    """A bar if somebody is there to see it."""
    if quiet:
        return Silence()
    return Bar() if sys.stderr.isatty() else Words()
