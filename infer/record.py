"""What a run has done so far: the journal it can go on from, the reports people read."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from infer import journal, output_folder
from infer.errors import BadOutputError
from infer.journal import Entry
from infer.readers.reading import digest_of_scan
from infer.readers.source import Source
from infer.report_csv import Report, Row
from infer.slices_csv import ScanLines, SliceTable, profile
from infer.worker import Overlays, Task

# Digests of so much are computed by several threads. Of less, threads wait for each other: of
# 100,000 pictures of 4 kB, two took more than three times as long as one.
LARGE_BYTES = 2**20


class Counts(NamedTuple):
    """How a run went."""

    scans: int
    ok: int
    failed: int
    anomalous: int
    warned: int  # of those ok, scored with a warning
    resumed: int  # of those ok, done by an earlier run
    forgotten: int  # results of scans that are no longer in the folder; their files stay
    unfinished: int  # not scored: interrupted or stopped


class Record:
    """The journal and the reports of a run, and what of it is done."""

    def __init__(
        self,
        out: Path,
        done: Sequence[Entry],
        pending: Sequence[Task],
        *,
        parts: Sequence[str],
        forgotten: int,
    ) -> None:
        self.pending = deque(pending)
        self.rows = [entry.row for entry in done]
        self.overlays = _overlays(done)  # scan → its picture, relative to the output folder
        self.profiles = _profiles(done)  # scan → scores along it
        self._resumed = len(done)
        self.failed = 0
        self._forgotten = forgotten
        self.scans = len(done) + len(pending)
        self._report = Report(out / output_folder.REPORT)
        self._report.write(self.rows)
        self._slices = SliceTable(out / output_folder.SLICES, parts)
        self._slices.start(_lines(done))
        self._journal = out / output_folder.JOURNAL

    @classmethod
    def open(
        cls,
        out: Path,
        tasks: Sequence[Task],
        *,
        key: str,
        overlays: Overlays,
        maps: bool,
        parts: Sequence[str],
        workers: int,
        elsewhere: Collection[str],
    ) -> "Record":
        """Find what earlier runs did of these tasks, and start the reports with it.

        `parts` names the further scores of the model, `elsewhere` the scans that are the share of
        others: with their results in this folder, the report would lose them.

        Raises:
            BadOutputError: results of those are here.
        """
        entries = journal.read_entries(out / output_folder.JOURNAL)
        if strangers := sorted(entries.keys() & elsewhere):
            raise BadOutputError(
                f"{out} holds results of scans that are not in this part, e.g. {strangers[0]}",
                hint="give each part an --out of its own, and join them with --merge",
            )
        done = _done(tasks, entries, key, out, overlays, maps=maps, workers=workers)
        kept = {name: scan for scan in done for name in entries[scan].outputs}
        current = {task.scan for task in tasks}
        for scan in current & entries.keys() - done:
            output_folder.remove_outputs(out, entries.pop(scan), keep=kept)
        journal.write_entries(out / output_folder.JOURNAL, entries.values())
        finished = [entries[scan] for scan in done]
        pending = [task for task in tasks if task.scan not in done]
        forgotten = len(entries.keys() - current)
        return cls(out, finished, pending, parts=parts, forgotten=forgotten)

    def taken(self) -> Iterator[Task]:
        """What is pending, no longer kept once it is taken: a folder may hold a million scans."""
        while self.pending:
            yield self.pending.popleft()

    def add(self, finished: Sequence[Row | Entry]) -> list[Row]:
        """Write down what a worker brought: the journal first, a row without it is done again."""
        entries = [result for result in finished if isinstance(result, Entry)]
        rows = [result.row if isinstance(result, Entry) else result for result in finished]
        journal.append_entries(self._journal, entries)
        self._report.add(rows)
        self._slices.add(_lines(entries))
        self.rows += rows
        self.failed += sum(row.status == "failed" for row in rows)
        self.overlays |= _overlays(entries)
        self.profiles |= _profiles(entries)
        return rows

    def close(self) -> None:
        """Sort the reports."""
        self._report.write()
        self._slices.sort()

    def failures(self) -> list[Row]:
        """The scans that failed, in the order of their names."""
        return sorted(row for row in self.rows if row.status == "failed")

    def counts(self) -> Counts:
        """How it went so far."""
        return Counts(
            scans=self.scans,
            ok=len(self.rows) - self.failed,
            failed=self.failed,
            anomalous=sum(bool(row.anomalous) for row in self.rows),
            warned=sum(row.status == "ok" and row.warning != "" for row in self.rows),
            resumed=self._resumed,
            forgotten=self._forgotten,
            unfinished=self.scans - len(self.rows),
        )


def _lines(entries: Iterable[Entry]) -> list[ScanLines]:
    return [ScanLines(entry.row.scan, entry.slices) for entry in entries]


def _overlays(entries: Iterable[Entry]) -> dict[str, str]:
    place = f"{output_folder.OVERLAYS}/"
    return {
        entry.row.scan: name
        for entry in entries
        for name in entry.outputs
        if name.startswith(place)
    }


def _profiles(entries: Iterable[Entry]) -> dict[str, str]:
    drawn = ((entry.row.scan, profile(entry.slices)) for entry in entries)
    return {scan: line for scan, line in drawn if line}


def _done(
    tasks: Sequence[Task],
    entries: dict[str, Entry],
    key: str,
    out: Path,
    overlays: Overlays,
    *,
    maps: bool,
    workers: int,
) -> set[str]:
    """The scans that need not be scored again."""

    def is_done(task: Task) -> bool:
        entry = entries[task.scan]
        wants_overlay = overlays == "all" or (overlays == "anomalous" and entry.row.anomalous)
        wanted = {task.mask: True, task.overlay: wants_overlay, task.map: maps}
        if task.segmentation:
            wanted[task.segmentation] = True
        return (
            entry.key == key
            and {name for name, needed in wanted.items() if needed} <= entry.outputs.keys()
            and journal.is_whole(entry, out)
            and entry.content == digest_of_scan(Source(task.path, task.series))
        )

    small: list[Task] = []
    large: list[Task] = []
    for task in tasks:
        if task.scan in entries:
            size = Source(task.path, task.series).size()
            (large if size >= LARGE_BYTES else small).append(task)
    done = {task.scan for task in small if is_done(task)}
    if not large:
        return done
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(workers) as pool:
        verdicts = zip(large, pool.map(is_done, large), strict=True)
        return done | {task.scan for task, is_it in verdicts if is_it}
