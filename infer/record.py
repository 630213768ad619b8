"""What a run has done so far: the journal it can go on from, the reports people read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from infer import output_folder
from infer.errors import BadOutputError
from infer.journal import Entries, Entry
from infer.manifest import Normals
from infer.monitoring import Monitor, Monitoring, Scored
from infer.readers.reading import digest_of_scan
from infer.report_csv import Report, Row
from infer.results import Results
from infer.shelf import Shelf, as_name, batched
from infer.shown import PageRows, Shown, overlay_of
from infer.slices_csv import ScanLines, SliceTable, profile
from infer.tasks import Tasks
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
        results: Results,
        done: Entries,
        pending: Tasks,
        *,
        normals: Normals,
        parts: Sequence[str],
        forgotten: int,
    ) -> None:
        self._results = results
        self._pending = pending
        self.pending = len(pending)  # at the start
        self._resumed = len(done)
        self.ok = self.failed = self.anomalous = self.warned = 0
        self._forgotten = forgotten
        self.scans = len(done) + len(pending)
        self._pages = PageRows()
        self._monitor = Monitor(normals)
        self._report = Report(results.folder / output_folder.REPORT)
        self._report.write(entry.row for entry in done)
        self._slices = SliceTable(results.folder / output_folder.SLICES, parts)
        self._slices.start(_lines(done))
        for some in batched(done):
            self._count(some)

    @classmethod
    def open(
        cls,
        results: Results,
        tasks: Iterable[Task],
        *,
        key: str,
        overlays: Overlays,
        maps: bool,
        normals: Normals,
        parts: Sequence[str],
        workers: int,
        is_elsewhere: Callable[[str], bool] | None,
        before_removal: Callable[[], None],
    ) -> "Record":
        """Find what earlier runs did of these tasks, and start the reports with it.

        The record of the last of them goes, once nothing is left that could be refused.

        `normals` and `parts` are the model's: what scans are compared with, and the names of its
        further scores. `is_elsewhere`: whether a scan is the share of others; with its results in
        this folder, the report would lose them. `before_removal` is called where results of earlier
        runs are about to go since they are to be made anew; it may raise.

        Raises:
            BadOutputError: results of those are here.
        """
        entries = Entries.read(results.folder / output_folder.JOURNAL)
        if is_elsewhere:
            _refuse_strangers(entries, is_elsewhere, results)
        results.remove_run()
        done, kept = Entries(), Shelf()
        pending, again = Tasks(), Tasks()
        judged = _judged(tasks, entries, key, results, overlays, maps=maps, workers=workers)
        for some in batched(judged):
            finished = [entry for _, entry, is_done in some if entry is not None and is_done]
            done.add(finished)
            kept.put((as_name(name), b"") for entry in finished for name in entry.outputs)
            pending.add(task for task, _, is_done in some if not is_done)
            again.add(task for task, entry, is_done in some if entry is not None and not is_done)
        if again:
            before_removal()
        for task in again:
            if (entry := entries.get(task.scan)) is not None:
                entries.forget(task.scan)
                results.remove_outputs(
                    entry, keep={name for name in entry.outputs if as_name(name) in kept}
                )
        forgotten = len(entries) - len(done)
        results.replace_journal(entries)
        return cls(results, done, pending, normals=normals, parts=parts, forgotten=forgotten)

    def taken(self) -> Iterator[Task]:
        """What is pending."""
        yield from self._pending

    def add(self, finished: Sequence[Row | Entry]) -> list[Row]:
        """Write down what a worker brought: the journal first, a row without it is done again."""
        entries = [result for result in finished if isinstance(result, Entry)]
        rows = [result.row if isinstance(result, Entry) else result for result in finished]
        self._results.add_to_journal(entries)
        self._report.add(rows)
        self._slices.add(_lines(entries))
        self._count(finished)
        return rows

    def shown(self) -> Iterator[Shown]:
        """What the page shows, worst first."""
        yield from self._pages

    def close(self) -> None:
        """Sort the reports."""
        self._report.write()
        self._slices.sort()

    def failures(self) -> Iterator[Row]:
        """The scans that failed, in the order of their names."""
        return self._pages.failures()

    def monitored(self) -> Monitoring:
        """How the scans scored so far compare with the normals."""
        return self._monitor.judged()

    def counts(self) -> Counts:
        """How it went so far."""
        return Counts(
            scans=self.scans,
            ok=self.ok,
            failed=self.failed,
            anomalous=self.anomalous,
            warned=self.warned,
            resumed=self._resumed,
            forgotten=self._forgotten,
            unfinished=self.scans - self.ok - self.failed,
        )

    def _count(self, finished: Sequence[Row | Entry]) -> None:
        rows = [result.row if isinstance(result, Entry) else result for result in finished]
        self.failed += sum(row.status == "failed" for row in rows)
        self.ok += sum(row.status != "failed" for row in rows)
        self.anomalous += sum(bool(row.anomalous) for row in rows)
        self.warned += sum(row.status == "ok" and row.warning != "" for row in rows)
        self._pages.add(map(_shown, finished))
        self._monitor.add(
            Scored(it.row.score, it.traits)
            for it in finished
            if isinstance(it, Entry) and it.row.score is not None
        )


def _lines(entries: Iterable[Entry]) -> Iterator[ScanLines]:
    return (ScanLines(entry.row.scan, entry.slices) for entry in entries)


def _shown(result: Row | Entry) -> Shown:
    if isinstance(result, Row):
        return Shown(result)
    return Shown(result.row, overlay_of(result), profile(result.slices))


def _refuse_strangers(
    entries: Entries, is_elsewhere: Callable[[str], bool], results: Results
) -> None:
    out = results.store or results.folder
    for entry in entries:
        if is_elsewhere(entry.row.scan):
            raise BadOutputError(
                f"{out} holds results of scans that are not in this part, e.g. {entry.row.scan}",
                hint="give each part an --out of its own, and join them with --merge",
            )


def _judged(
    tasks: Iterable[Task],
    entries: Entries,
    key: str,
    results: Results,
    overlays: Overlays,
    *,
    maps: bool,
    workers: int,
) -> Iterator[tuple[Task, Entry | None, bool]]:
    """Each task, what an earlier run left of it, and whether that need not be done again."""
    from concurrent.futures import ThreadPoolExecutor

    def is_done(task: Task, entry: Entry) -> bool:
        wants_overlay = overlays == "all" or (overlays == "anomalous" and bool(entry.row.anomalous))
        wanted = {task.mask: True, task.overlay: wants_overlay, task.map: maps}
        if task.segmentation:
            wanted[task.segmentation] = True
        return (
            entry.key == key
            and {name for name, needed in wanted.items() if needed} <= entry.outputs.keys()
            and results.is_whole(entry)
            and entry.content == digest_of_scan(task.source)
        )

    if not entries:
        yield from ((task, None, False) for task in tasks)
        return
    with ThreadPoolExecutor(workers) as pool:
        for some in batched(tasks):
            found = [(task, entries.get(task.scan)) for task in some]
            known = [(task, entry) for task, entry in found if entry is not None]
            large = [it for it in known if it[0].source.size() >= LARGE_BYTES]
            verdicts = dict(
                zip(
                    (task.scan for task, _ in large),
                    pool.map(lambda it: is_done(*it), large),
                    strict=True,
                )
            )
            for task, entry in found:
                if entry is None:
                    yield task, None, False
                elif task.scan in verdicts:
                    yield task, entry, verdicts[task.scan]
                else:
                    yield task, entry, is_done(task, entry)
