"""Score a chunk of scans: read, find, write; one bad scan is one failed row."""

import contextlib
import errno
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from infer.digest import digest
from infer.engine import OnnxEngine
from infer.engine_batches import EngineOutputs, ask
from infer.errors import BadOutputError, StoreError, UadError
from infer.finding import Finding, finding_of
from infer.images import images_for, slices_of
from infer.journal import Entry
from infer.log import LOGGER, keep_logging_to
from infer.manifest import Manifest
from infer.memory import keep_freed_memory
from infer.output_folder import LOG, MAPS, MASKS, OVERLAYS, SEGMENTATIONS
from infer.output_names import has_pages, is_array, is_volume
from infer.readers import read_series, read_with_digest
from infer.readers.choice import Choice
from infer.readers.source import Source
from infer.report_csv import Row
from infer.scoring import normal_percentile
from infer.shapes import ImageGroups, Images
from infer.slices_csv import slice_lines
from infer.slicing import step_axis
from infer.storage.address import Address
from infer.storage.stored import Stored, version_of
from infer.traits import traits_of
from infer.volume import Volume
from infer.volumetric import is_volumetric, worst_of
from infer.writers.atomic import write_bytes

Overlays = Literal["anomalous", "all", "none"]
PUTS_AT_ONCE = 8  # scans whose outputs a worker puts into a store at a time
# The disk's condition, not the scan's: the next scan would fail too, so the run stops.
DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
    *(errno.ESTALE, errno.ENODEV, errno.ENXIO),
)


class Task(NamedTuple):
    """One scan and where its outputs go; names are relative to the output folder."""

    scan: str
    path: Path
    mask: str
    overlay: str
    map: str
    segmentation: str = ""  # empty: none is wanted
    series: tuple[Path, ...] = ()  # the files of a DICOM series
    stored: tuple[Stored, ...] = ()  # its objects, if it is in object storage

    @property
    def source(self) -> Source:
        """Where its content lies."""
        return Source(self.path, self.series, self.stored)


@dataclass(slots=True)
class Attempt:
    """How far one scan has come."""

    task: Task
    content: str = ""
    volume: Volume | None = None
    images: Images | None = None
    outputs: EngineOutputs | None = None
    entry: Entry | None = None
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Scores chunks of scans; one per thread."""

    engine: OnnxEngine
    manifest: Manifest
    out: Path
    key: str
    folder: str  # that names of scans are relative to
    overlays: Overlays
    maps: bool
    keep_identifiers: bool
    choice: Choice
    batch_size: int
    store: Address | None = None  # where outputs are put; None: below `out`
    spool: Path | None = None  # where scans of a store are fetched to; None: the system's folder

    def __call__(self, chunk: Sequence[Task]) -> list[Row | Entry]:
        """An entry for each scan that was scored, a row for each that failed.

        Only the network sees several scans at once. What comes before and after is done scan by
        scan, each from beginning to end, while its voxels are still in the processor's cache.
        """
        attempts = [Attempt(task) for task in chunk]
        with self._fetching(chunk) as here:
            for attempt in attempts:
                with trying(attempt):
                    attempt.task = here(attempt.task)
                    attempt.volume, attempt.content = _read(attempt.task, self.choice)
                    attempt.images = images_for(attempt.volume, self.manifest)
            self._ask([attempt for attempt in attempts if attempt.images is not None])
            self._finish_all([attempt for attempt in attempts if attempt.outputs is not None])
        return [attempt.entry or failed_row(attempt) for attempt in attempts]

    @contextlib.contextmanager
    def _fetching(self, chunk: Sequence[Task]) -> Iterator[Callable[[Task], Task]]:
        """What gives each task with its files on this machine: fetched meanwhile, if need be."""
        if not any(task.stored for task in chunk):
            yield lambda task: task
            return
        from infer.storage.spool import fetching

        with fetching([task.source for task in chunk], self.choice, self.spool) as here:

            def at_hand(task: Task) -> Task:
                found = here(task.source)
                return task._replace(path=found.path, series=found.series)

            yield at_hand

    def _ask(self, attempts: Sequence[Attempt]) -> None:
        """All together, which fills the batches; one by one if that fails, to know which."""
        start = time.perf_counter()
        images = [attempt.images for attempt in attempts if attempt.images is not None]
        try:
            answers = self._answers(images)
        except Exception:
            for attempt, own in zip(attempts, images, strict=True):
                with trying(attempt):
                    attempt.outputs = self._answers([own])[0]
            return
        elapsed = time.perf_counter() - start
        slices = sum(len(own) for own in images)
        for attempt, own, outputs in zip(attempts, images, answers, strict=True):
            attempt.outputs = outputs
            attempt.seconds += elapsed * len(own) / slices

    def _answers(self, images: ImageGroups) -> list[EngineOutputs]:
        return ask(images, self.manifest, self.engine, batch_size=self.batch_size)

    def _finish_all(self, attempts: Sequence[Attempt]) -> None:
        """One by one; several at a time where outputs go to a store, which is mostly waited for."""

        def finish(attempt: Attempt) -> None:
            with trying(attempt):
                attempt.entry = self._finish(attempt)

        if self.store is None:
            for attempt in attempts:
                finish(attempt)
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(PUTS_AT_ONCE) as pool:
            for done in [pool.submit(finish, attempt) for attempt in attempts]:
                done.result()

    def _finish(self, attempt: Attempt) -> Entry:
        """Find, write a scan's outputs, and say what was found."""
        start = time.perf_counter()
        task, volume = attempt.task, attempt.volume
        if volume is None or attempt.images is None or attempt.outputs is None:
            raise RuntimeError(f"{task.scan} was not scored")
        finding = finding_of(volume, attempt.images, attempt.outputs, self.manifest)
        row = row_of(task, volume, finding, self.manifest)
        # All is encoded before any of it is written: where one fails, nothing is left lying about.
        contents = {task.mask: _encoded_mask(task.mask, finding, volume)}
        if self.maps:
            contents[task.map] = _encoded_map(task.map, finding, volume)
        if task.segmentation:
            contents[task.segmentation] = self._encoded_segmentation(task, finding, volume)
        if self.overlays == "all" or (self.overlays == "anomalous" and row.anomalous):
            from infer.writers.overlay import draw_overlay

            contents[task.overlay] = draw_overlay(
                volume, finding, self.manifest, scan=task.scan, row=row
            )
        outputs = self._written(contents)
        seconds = round(attempt.seconds + time.perf_counter() - start, 3)
        lines = slice_lines(
            scored_slices(finding, volume, self.manifest),
            finding.slice_scores,
            finding.score_parts,
        )
        row = row._replace(seconds=seconds)
        traits = traits_of(volume, finding.images)
        return Entry(self.key, attempt.content, outputs, row, lines, traits, self.folder)

    def _encoded_segmentation(self, task: Task, finding: Finding, volume: Volume) -> bytes:
        from infer.writers.dicom_seg import encode_segmentation

        keep = self.keep_identifiers
        return encode_segmentation(
            finding.mask, volume, task.series, self.manifest, keep_identifiers=keep
        )

    def _written(self, contents: Mapping[str, bytes]) -> dict[str, str]:
        """Write a scan's outputs, all or none, as the journal keeps them."""
        outputs: dict[str, str] = {}
        try:
            for name, content in contents.items():
                outputs[name] = self._write(name, content)
        except BadOutputError:  # the name of one is too long, say
            if self.store is None:
                for name in outputs:
                    (self.out / name).unlink(missing_ok=True)
            raise
        return outputs

    def _write(self, name: str, content: bytes) -> str:
        """The digest of what was written, as the journal keeps it."""
        if self.store is not None:
            from infer.storage.outputs import put_output

            return put_output(self.store, name, content)
        write_bytes(self.out / name, content)
        return digest(content)


def ready(worker: Worker) -> Worker:
    """The same worker; OpenCV now adds no threads to ours here, and memory is kept."""
    import cv2

    cv2.setNumThreads(1)
    keep_freed_memory()
    if worker.out.is_dir():  # on other machines of a cluster there is none, if outputs are put
        keep_logging_to(worker.out / LOG)
    return worker


@contextlib.contextmanager
def trying(attempt: Attempt) -> Iterator[None]:
    """Time a step of an attempt; what goes wrong is written into it, not raised."""
    start = time.perf_counter()
    try:
        yield
    except UadError as error:
        if _is_not_of_the_scan(error):
            raise
        attempt.error = f"{error} ({error.hint})" if error.hint else str(error)
    except MemoryError:
        attempt.error = "there is not enough memory for it"
    except Exception as bug:  # the night's work goes on; the log has the traceback
        LOGGER.exception("%r", attempt.task.scan)  # a name may hold line breaks
        attempt.error = f"unexpected {type(bug).__name__}: {bug}"
    finally:
        attempt.seconds += time.perf_counter() - start


def failed_row(attempt: Attempt) -> Row:
    """What the report says of a scan that could not be scored."""
    warnings = attempt.volume.warnings if attempt.volume else ()
    return Row(
        scan=attempt.task.scan,
        status="failed",
        seconds=round(attempt.seconds, 3),
        warning="; ".join(warnings),
        error=attempt.error,
    )


def row_of(task: Task, volume: Volume, finding: Finding, manifest: Manifest) -> Row:
    """What the report says of a scan that was scored."""
    threshold = manifest.score_threshold.value
    voxels = int(np.count_nonzero(finding.mask))
    peak = volume.grid.index_in_file(finding.peak)
    # Pictures are spoken of as column, row and page, others in the order of the file's axes.
    spoken = peak if volume.grid.header is not None else peak[::-1]
    peak_x, peak_y, peak_z = (*spoken, None)[:3]
    percentile = normal_percentile(finding.score, manifest.normals.scores)
    by_mask = manifest.anomalous_by == "mask"
    return Row(
        scan=task.scan,
        status="ok",
        anomalous=voxels > 0 if by_mask else finding.score > threshold,
        score=finding.score,
        threshold=threshold,
        normal_percentile=None if math.isnan(percentile) else percentile,
        peak_x=peak_x,
        peak_y=peak_y,
        peak_z=peak_z,
        peak_value=finding.peak_value,
        lesions=finding.lesions,
        anomaly_volume_ml=_volume_ml(voxels, volume),
        anomaly_area_px=voxels if volume.spacing_mm is None else None,
        slices=len(slices_of(volume, manifest)),
        worst_slice=worst_slice(finding, volume, manifest),
        mask=task.mask,
        warning="; ".join((*volume.warnings, *finding.warnings)),
    )


def worst_slice(finding: Finding, volume: Volume, manifest: Manifest) -> int:
    """Index of the worst slice on the file's own axis; 0 for a picture."""
    indices = slices_in_file(volume, manifest)
    return indices[worst_of(finding.slice_scores, finding.peak, manifest)]


def scored_slices(finding: Finding, volume: Volume, manifest: Manifest) -> Sequence[int]:
    """The slice each score stands for, on the file's own axis; of a whole volume, the worst."""
    if is_volumetric(manifest.image_size):
        return [worst_slice(finding, volume, manifest)]
    return slices_in_file(volume, manifest)


def slices_in_file(volume: Volume, manifest: Manifest) -> range:
    """The index on the file's own axis of each slice that is looked at, in the order of scores."""
    looked = slices_of(volume, manifest)
    if len(volume.grid.shape) == 2:
        return looked
    axis = step_axis(manifest.plane)
    if not volume.grid.flipped[axis]:
        return looked
    last = volume.voxels.shape[1 + axis] - 1
    return range(last - looked.start, last - looked.stop, -1)


def _volume_ml(voxels: int, volume: Volume) -> float | None:
    if volume.spacing_mm is None or len(volume.grid.shape) == 2:
        return None
    return voxels * math.prod(volume.spacing_mm) / 1000


def _read(task: Task, choice: Choice) -> tuple[Volume, str]:
    if task.series:
        volume, content = read_series(task.series, choice)
    else:
        volume, content = read_with_digest(task.path, choice)
    # So that a later run need not fetch it to know it; a store without versions has it fetched.
    return volume, version_of(task.stored) or content


def _encoded_mask(name: str, finding: Finding, volume: Volume) -> bytes:
    """In the format that goes with the scan's own."""
    if is_volume(name):
        from infer.writers import nifti

        return nifti.encode_mask(finding.mask, volume)
    if is_array(name):
        from infer.writers import array

        return array.encode_mask(finding.mask, volume)
    from infer.writers import image

    encode = image.encode_mask_pages if has_pages(name) else image.encode_mask
    return encode(finding.mask, volume)


def _encoded_map(name: str, finding: Finding, volume: Volume) -> bytes:
    """The values themselves, in the format that goes with the scan's own."""
    if is_volume(name):
        from infer.writers import nifti

        return nifti.encode_map(finding.anomaly_map, volume)
    if is_array(name):
        from infer.writers import array

        return array.encode_map(finding.anomaly_map, volume)
    from infer.writers import image

    return image.encode_map(finding.anomaly_map, volume)


def _is_not_of_the_scan(error: UadError) -> bool:
    """The disk is full, the store is away: the next scan would fail as well."""
    is_of_the_disk = (
        isinstance(error, BadOutputError)
        and isinstance(error.__cause__, OSError)
        and error.__cause__.errno in DISK_ERRORS
    )
    return is_of_the_disk or isinstance(error, StoreError)


def task_for(
    scan: str, source: Source, *, mask: str, overlay: str, map: str, segmentation: str = ""
) -> Task:
    """A task whose outputs lie in our own folders."""
    return Task(
        scan,
        source.path,
        mask=f"{MASKS}/{mask}",
        overlay=f"{OVERLAYS}/{overlay}",
        map=f"{MAPS}/{map}",
        segmentation=f"{SEGMENTATIONS}/{segmentation}" if segmentation else "",
        series=source.series,
        stored=source.stored,
    )
