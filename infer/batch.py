"""Score a folder of scans: plan, spread, record; resumable at any moment."""

import contextlib
import itertools
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import infer
from infer import journal, output_folder
from infer.chunks import in_chunks
from infer.cores import cores
from infer.engine import OnnxEngine, open_engine
from infer.errors import BadOutputError
from infer.executors.executor import Executor
from infer.executors.flight import Tally
from infer.executors.local import LocalExecutor
from infer.interruption import Interruption, StoppedAtOnce
from infer.journal import Entry
from infer.log import logging_to
from infer.manifest import Manifest
from infer.model_source import ModelFile, located
from infer.options import Options, choice_of, with_thresholds
from infer.output_names import PICTURE, Names, map_ending, mask_ending, segmentation_names
from infer.progress import Progress
from infer.readers.discovery import home_of, scans_in
from infer.readers.sources import Sources
from infer.record import Record
from infer.report_csv import Row
from infer.results import Results, opened_results
from infer.run_json import write_run
from infer.self_test import change_of
from infer.storage.address import Place
from infer.summary import FAILURES_TOLD, Outcome, Summary
from infer.volumetric import usual_batch_size
from infer.worker import Task, Worker, ready, task_for

if TYPE_CHECKING:
    from infer.cluster import Cluster

# Slices; of whole volumes, and of patches of them, one at a time.
BATCH_SIZES = {"cpu": 16, "cuda": 64, "tensorrt": 64, "openvino": 16}
# For each worker. With more to do they are processes, which take a quarter of a second to start.
FEW_CHUNKS = 4


class Shares(NamedTuple):
    """Among how many workers processors are divided, and what a batch of each may use."""

    workers: int
    threads: int


def score_folder(
    folder: Place,
    model: Path | str,
    out: Place,
    options: Options,
    *,
    progress: Progress,
    interruption: Interruption,
) -> Summary:
    """Write a mask per scan, a row per scan and a record of the run under `out`.

    `model` is a file, its address in a store, or `models:/name@alias` in an MLflow registry.

    Raises:
        BadModelError, UnknownChoiceError, MissingExtraError: nothing was scored.
        BadOutputError: likewise, or the disk is full; then what was written is whole.
        StoreError: scans or results are in a store that cannot be reached, or refuses; likewise.
    """
    start = time.perf_counter()
    if options.dicom_seg:
        from infer.writers.dicom_seg import check_extra

        check_extra()
    with contextlib.ExitStack() as stack:
        stack.callback(progress.end)
        results = stack.enter_context(opened_results(out))
        results.refuse_harmful(folder)
        file = located(model, progress.tell)
        # Before the scans are looked for, which may take minutes: what is wrong is said at once.
        opened = _divided(options.workers or cores())
        home = home_of(folder)
        worker = _open_worker(file, home, results, options, opened)
        change = change_of(worker.engine, file.path)
        progress.prepare("looking for scans")
        everything, left_out = scans_in(folder, out)
        spool = None
        if isinstance(folder, Path):
            if isinstance(out, Path):
                output_folder.refuse_own_results(out, everything.one_of_each_folder())
        else:
            spool = Path(stack.enter_context(_spool()))
        part = options.part
        scans = everything.only(part.takes) if part else everything
        # Counted on all scans, not on those still to do: going on, a run computes as a whole one.
        here = _divided(max(1, min(opened.workers, len(scans))))
        on_gpu = not worker.engine.device.is_cpu
        cluster = _cluster(stack, options, scans=len(scans), on_gpu=on_gpu)
        shares = Shares(cluster.workers, cluster.threads) if cluster else here
        if shares != opened:
            worker = _open_worker(file, home, results, options, shares)
        worker = replace(worker, spool=spool)
        progress.prepare("seeing that no other run writes there")
        stack.enter_context(results.claimed())
        stack.enter_context(logging_to(results.folder / output_folder.LOG))
        if options.overwrite:
            _stop_if_asked(interruption)
            results.start_afresh()
        progress.prepare("looking at what is done")
        record = Record.open(
            results,
            _tasks(scans, case_matters=results.tells_case(), dicom_seg=options.dicom_seg),
            key=worker.key,
            folder=home,
            overlays=options.overlays,
            maps=options.maps,
            normals=worker.manifest.normals,
            parts=worker.engine.score_parts,
            workers=here.workers,
            is_elsewhere=(lambda scan: scan in everything and scan not in scans) if part else None,
            before_replacing=partial(_stop_if_asked, interruption),
        )

        def is_over() -> bool:
            return interruption.requested or _too_many(record, options)

        def spread(chunks: Iterator[list[Task]]) -> Generator[list[Row | Entry]]:
            if cluster:
                return cluster.spread(worker, folder, _until(is_over, chunks))
            return _spread_locally(worker, here.workers, is_over, chunks)

        places = cluster.tallies if cluster else list
        _score(record, spread, worker.batch_size, progress, places)
        summary = Summary(
            outcome=_outcome(record, options),
            counts=record.counts(),
            seconds=time.perf_counter() - start,
            device=worker.engine.device,
            change=change,
            left_out=left_out,
            failures=list(itertools.islice(record.failures(), FAILURES_TOLD)),
            machines=cluster.tallies() if cluster else (),
            monitoring=record.monitored(),
            shown=results.shown(),
        )
        asked = (folder, out)
        run = _write_run(results.folder, asked, file, worker, shares.workers, options, summary)
        _write_page(results.folder, record, run, worker.manifest)
        results.publish()
    return summary


def _stop_if_asked(interruption: Interruption) -> None:
    """Where what is there would go: whoever stops a run that has not begun means to keep it.

    Raises:
        StoppedAtOnce: it was asked for.
    """
    if interruption.requested:
        raise StoppedAtOnce(interruption)


def _spool() -> tempfile.TemporaryDirectory[str]:
    """Where scans of a store are while they are scored; what a killed worker left goes with it."""
    return tempfile.TemporaryDirectory(prefix="uad-spool-", ignore_cleanup_errors=True)


def _cluster(
    stack: contextlib.ExitStack, options: Options, *, scans: int, on_gpu: bool
) -> "Cluster | None":
    """What the run is spread over, if not over this machine's cores."""
    if options.executor == "local":
        return None
    from infer.cluster import opened_cluster

    most = max(1, scans if options.workers is None else min(options.workers, scans))
    cluster = opened_cluster(options.ray_address, most=most, retries=options.retries, on_gpu=on_gpu)
    return stack.enter_context(cluster)


def _divided(workers: int) -> Shares:
    """This machine, among so many."""
    # A few scans leave cores idle: then a batch may use several.
    return Shares(workers, max(1, cores() // workers))


def _open_worker(
    file: ModelFile, home: str, results: Results, options: Options, shares: Shares
) -> Worker:
    engine = open_engine(
        file.path,
        device=options.device,
        threads=shares.threads,
        workers=shares.workers,
        precision=options.precision,
        public_key=options.require_signature,
        tensorrt_cache=options.tensorrt_cache,
    )
    return Worker(
        engine=engine,
        manifest=with_thresholds(engine.manifest, options.threshold, options.map_threshold),
        out=results.folder,
        store=results.store,
        key=_key(engine, options),
        folder=home,
        overlays=options.overlays,
        maps=options.maps,
        keep_identifiers=options.keep_identifiers,
        choice=choice_of(options, engine.manifest.plane),
        batch_size=options.batch_size or batch_size_of(engine),
    )


def _score(
    record: Record,
    spread: Callable[[Iterator[list[Task]]], Generator[list[Row | Entry]]],
    batch_size: int,
    progress: Progress,
    places: Callable[[], Sequence[Tally]],
) -> None:
    """Score what is pending; write every result down as it comes."""
    progress.begin(total=record.scans, done=record.scans - record.pending)
    try:
        spreading = spread(in_chunks(record.taken(), size=batch_size))
        with contextlib.closing(spreading) as results:
            for finished in results:
                progress.advance(record.add(finished), places())
    except BaseException:
        # What stopped us is what the user must hear of, not what it did to the report.
        with contextlib.suppress(BadOutputError, OSError):
            record.close()
        raise
    else:
        record.close()
    finally:
        progress.end()


def _spread_locally(
    worker: Worker, workers: int, is_over: Callable[[], bool], chunks: Iterator[list[Task]]
) -> Generator[list[Row | Entry]]:
    """Over the cores of this machine."""
    first = list(itertools.islice(chunks, FEW_CHUNKS * workers))
    many = len(first) == FEW_CHUNKS * workers
    executor = open_executor(workers, apart=many and worker.engine.device.is_cpu)
    return executor.map(partial(ready, worker), _until(is_over, itertools.chain(first, chunks)))


def _write_run(
    home: Path,
    asked: tuple[Place, Place],
    model: ModelFile,
    worker: Worker,
    workers: int,
    options: Options,
    summary: Summary,
) -> dict[str, Any]:
    scored = summary.counts.scans - summary.counts.resumed - summary.counts.unfinished
    return write_run(
        home / output_folder.RUN,
        key=worker.key,
        model=model,
        engine=worker.engine,
        change=summary.change,
        manifest=worker.manifest,
        options={
            "folder": str(asked[0]),
            "out": str(asked[1]),
            **asdict(options),
            "part": str(options.part) if options.part else None,
            "precision": worker.engine.device.precision,
            "tensorrt_cache": str(options.tensorrt_cache) if options.tensorrt_cache else None,
            "batch_size": worker.batch_size,
            "workers": workers,
            # The key itself, wherever its file lies: parts that asked for others are not merged.
            "require_signature": worker.engine.signed_by,
        },
        counts=summary.counts._asdict(),
        left_out=summary.left_out,
        timing={
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(summary.seconds, 3),
            "scans_per_second": round(scored / summary.seconds, 3),
        },
        outcome=summary.outcome,
        machines=[tally.as_record() for tally in summary.machines],
        monitoring=summary.monitoring.as_record(),
    )


def _write_page(out: Path, record: Record, run: Mapping[str, Any], manifest: Manifest) -> None:
    from infer.report_html import Results, write_page  # when all is done: not before the first scan

    results = Results(
        shown=record.shown(),
        run=run,
        normals=manifest.normals.scores,
    )
    write_page(out / output_folder.PAGE, results)


def batch_size_of(engine: OnnxEngine) -> int:
    """How many images go through a model together unless told otherwise."""
    return usual_batch_size(engine.manifest.image_size, BATCH_SIZES[engine.device.got])


def open_executor(workers: int, *, apart: bool) -> Executor:
    """What spreads work here, each worker in a process of its own if they are to be `apart`."""
    if not apart:
        return LocalExecutor(workers)
    from infer.executors.processes import ProcessExecutor
    from infer.outliving import outliving

    return ProcessExecutor(workers, outliving)


def _tasks(scans: Sources, *, case_matters: bool, dicom_seg: bool) -> Iterator[Task]:
    def names(ending: Callable[[str, bool], str]) -> Names:
        return Names(scans.kinds, ending, case_matters=case_matters)

    masks, maps, overlays = names(mask_ending), names(map_ending), names(lambda *scan: PICTURE)
    series = [scan for scan, is_series in scans.kinds() if is_series] if dicom_seg else []
    segmentations = segmentation_names(series, case_matters=case_matters)
    for scan, source in scans.items():
        is_series = bool(source.series)
        yield task_for(
            scan,
            source,
            mask=masks.of(scan, is_series),
            overlay=overlays.of(scan, is_series),
            map=maps.of(scan, is_series),
            segmentation=segmentations.get(scan, ""),
        )


def _key(engine: OnnxEngine, options: Options) -> str:
    """Of what shapes a result. Batch size and device only touch the last digits: not in it."""
    precision = engine.device.precision
    return journal.key_of(
        model=engine.sha256,
        threshold=options.threshold,
        map_threshold=options.map_threshold,
        uad=infer.__version__,
        **({"precision": precision} if precision != "fp32" else {}),
        **({"volume": options.volume} if options.volume else {}),
        **({"identifiers": options.keep_identifiers} if options.dicom_seg else {}),
    )


def _too_many(record: Record, options: Options) -> bool:
    return options.max_failures is not None and record.failed > options.max_failures


def _outcome(record: Record, options: Options) -> Outcome:
    if _too_many(record, options):
        return "stopped"
    return "interrupted" if record.counts().unfinished else "finished"


def _until(is_over: Callable[[], bool], chunks: Iterable[list[Task]]) -> Iterator[list[Task]]:
    for chunk in chunks:
        if is_over():
            return
        yield chunk
