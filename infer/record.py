"""What a run has done so far: the journal it can go on from, the reports people read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypeAlias

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
    replaced: int  # of those ok, in the place of what other settings had given
    forgotten: int  # results of scans that are no longer in the folder; their files stay
    unfinished: int  # not scored: interrupted or stopped


class Record:
    """The journal and the reports of a run, and what of it is done."""

    def __init__(
        self,
        results: Results,
        found: "_Found",
        *,
        normals: Normals,
        parts: Sequence[str],
        forgotten: int,
    ) -> None:
        done, pending = found.done, found.pending
        self._results = results
        self._pending = pending
        self._earlier, self._kept = found.earlier, found.kept
        self.pending = len(pending)  # at the start
        self._resumed = len(done)
        self._replaced = 0
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
        folder: str,
        overlays: Overlays,
        maps: bool,
        normals: Normals,
        parts: Sequence[str],
        workers: int,
        is_elsewhere: Callable[[str], bool] | None,
        before_replacing: Callable[[], None],
    ) -> "Record":
        """Find what earlier runs did of these tasks, and start the reports with it.

        The record of the last of them goes, once nothing is left that could be refused. Results of
        a scan whose content has changed since go as well; those that other settings made go one by
        one, as each is replaced.

        `folder` is what names of scans are relative to. `normals` and `parts` are the model's: what
        scans are compared with, and the names of its further scores. `is_elsewhere`: whether a scan
        is the share of others; with its results in this folder, the report would lose them.
        `before_replacing` is called where results of earlier runs are to be made anew; it may
        raise.

        Raises:
            BadOutputError: results of those are here, or of other scans that have the same names.
        """
        entries = Entries.read(results.folder / output_folder.JOURNAL)
        if is_elsewhere:
            _refuse_strangers(entries, is_elsewhere, results)
        done, kept = Entries(), Shelf()
        pending, changed, earlier = Tasks(), Tasks(), Entries()
        asked = _Asked(key=key, folder=folder, overlays=overlays, maps=maps)
        for some in batched(_judged(tasks, entries, asked, results, workers=workers)):
            finished = [it.entry for it in some if it.entry is not None and it.verdict == "done"]
            done.add(finished)
            kept.put((as_name(name), b"") for entry in finished for name in entry.outputs)
            pending.add(it.task for it in some if it.verdict != "done")
            changed.add(it.task for it in some if it.verdict == "changed")
            earlier.add([it.entry for it in some if it.entry and it.verdict == "replaced"])
        if changed or earlier:
            before_replacing()
        results.remove_run()
        for task in changed:
            if (entry := entries.get(task.scan)) is not None:
                entries.forget(task.scan)
                results.remove_outputs(entry, keep=_among(kept, entry.outputs))
        forgotten = len(entries) - len(done) - len(earlier)
        results.replace_journal(entries)
        found = _Found(done=done, pending=pending, earlier=earlier, kept=kept)
        return cls(results, found, normals=normals, parts=parts, forgotten=forgotten)

    def taken(self) -> Iterator[Task]:
        """What is pending."""
        yield from self._pending

    def add(self, finished: Sequence[Row | Entry]) -> list[Row]:
        """Write down what a worker brought: the journal first, a row without it is done again."""
        entries = [result for result in finished if isinstance(result, Entry)]
        rows = [result.row if isinstance(result, Entry) else result for result in finished]
        for entry in entries:
            self._remove_what_it_replaces(entry)
        self._results.add_to_journal(entries)
        self._report.add(rows)
        self._slices.add(_lines(entries))
        self._count(finished)
        return rows

    def _remove_what_it_replaces(self, entry: Entry) -> None:
        """Outputs of an earlier run that have no successor: its own lie in their places already."""
        self._kept.put((as_name(name), b"") for name in entry.outputs)
        if (earlier := self._earlier.get(entry.row.scan)) is not None:
            self._replaced += 1
            self._results.remove_outputs(earlier, keep=_among(self._kept, earlier.outputs))

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
            replaced=self._replaced,
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


class _Asked(NamedTuple):
    """What this run is asked for."""

    key: str
    folder: str
    overlays: Overlays
    maps: bool

    def wanted(self, task: Task, entry: Entry) -> set[str]:
        """Which outputs a scan must have."""
        overlay = self.overlays == "all" or (
            self.overlays == "anomalous" and bool(entry.row.anomalous)
        )
        wanted = {task.mask: True, task.overlay: overlay, task.map: self.maps}
        if task.segmentation:
            wanted[task.segmentation] = True
        return {name for name, needed in wanted.items() if needed}


# Of a scan: nothing to be done; it is another than it was; what there is of it is replaced when
# there is something to replace it with; nothing is known of it.
Verdict: TypeAlias = Literal["done", "changed", "replaced", "new"]


class _Judged(NamedTuple):
    task: Task
    entry: Entry | None  # what an earlier run left of it
    verdict: Verdict


class _Found(NamedTuple):
    """What earlier runs left."""

    done: Entries
    pending: Tasks
    earlier: Entries  # whose outputs stay until there are new ones
    kept: Shelf  # names of outputs that stay


def _among(kept: Shelf, names: Iterable[str]) -> set[str]:
    return {name for name in names if as_name(name) in kept}


def _judged(
    tasks: Iterable[Task], entries: Entries, asked: _Asked, results: Results, *, workers: int
) -> Iterator[_Judged]:
    """Each task, what an earlier run left of it, and what is to be done about that.

    Raises:
        BadOutputError: it is of a scan of another folder.
    """
    from concurrent.futures import ThreadPoolExecutor

    def judged(task: Task, entry: Entry) -> _Judged:
        is_of_these_settings = entry.key == asked.key
        is_foreign = entry.folder not in ("", asked.folder)
        if not (is_of_these_settings or is_foreign):
            return _Judged(task, entry, "replaced")
        content = digest_of_scan(task.source)
        if content and content != entry.content:
            if is_foreign:
                raise _of_another_folder(entry, results)
            return _Judged(task, entry, "changed")
        is_as_it_was = content == entry.content and is_of_these_settings
        has_all = asked.wanted(task, entry) <= entry.outputs.keys()
        is_done = is_as_it_was and has_all and results.is_whole(entry)
        # Of a scan that cannot be read just now, too, what there is stays: its share may come back.
        return _Judged(task, entry, "done" if is_done else "replaced")

    if not entries:
        yield from (_Judged(task, None, "new") for task in tasks)
        return
    with ThreadPoolExecutor(workers) as pool:
        for some in batched(tasks):
            found = [(task, entries.get(task.scan)) for task in some]
            known = [(task, entry) for task, entry in found if entry is not None]
            large = [it for it in known if it[0].source.size() >= LARGE_BYTES]
            verdicts = dict(
                zip(
                    (task.scan for task, _ in large),
                    pool.map(lambda it: judged(*it), large),
                    strict=True,
                )
            )
            for task, entry in found:
                if entry is None:
                    yield _Judged(task, None, "new")
                elif task.scan in verdicts:
                    yield verdicts[task.scan]
                else:
                    yield judged(task, entry)


def _of_another_folder(entry: Entry, results: Results) -> BadOutputError:
    return BadOutputError(
        f"{results.store or results.folder} holds results of other scans that have the same names, "
        f"e.g. {entry.row.scan} of {entry.folder}",
        hint="give each folder of scans an --out of its own; or add --overwrite, which removes "
        "those results",
    )
