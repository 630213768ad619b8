"""A model in a program: `infer.load("cae.onnx").score(scan)` finds what `uad-infer` finds."""

import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infer.batch import batch_size_of
from infer.cores import cores
from infer.engine import OnnxEngine, open_engine
from infer.errors import UnreadableScanError
from infer.finding import Finding, find_all
from infer.manifest import Manifest
from infer.model_source import located
from infer.options import with_thresholds
from infer.precision import Precision
from infer.providers import Device
from infer.readers import read
from infer.readers.choice import Choice
from infer.shapes import AnomalyMap, Mask, Scores
from infer.slicing import to_slices
from infer.volume import MAX_VOXELS, Grid, Volume
from infer.volumetric import is_volumetric
from infer.worker import Task, row_of, slices_in_file

PICTURE_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))
COLOURS = (3, 4)  # red, green, blue, and transparency, which is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFinding:
    """All that is said of one scan; numbers as in report.csv, arrays as in masks/ and maps/.

    `map` and `mask` have the shape of the scan as its file stores it: pictures (row, column),
    NIfTI (i, j, k) as nibabel shows it, arrays as they were given, without colours.
    """

    score: float  # larger is more anomalous; comparable within one model only
    threshold: float  # of the score
    normal_percentile: float | None  # share of validation normals below the score, 0 to 100
    anomalous: bool  # by score or by mask, as the model's manifest says
    map: AnomalyMap  # float32, larger is more anomalous
    mask: Mask  # bool
    peak: tuple[int, ...]  # index into `map` where it is highest
    peak_value: float
    lesions: int  # connected components of the mask
    anomaly_volume_ml: float | None  # of the mask; None: a picture, or no voxel size is known
    # float32, one per slice along the model's plane, in the file's order; NaN for slices that the
    # model does not look at. Of a model that looks at whole volumes, one.
    slice_scores: Scores
    worst_slice: int  # index of the slice that scored highest; of a whole volume, of its peak
    warnings: tuple[str, ...]


class Model:
    """An opened model file; threads may share it."""

    def __init__(self, engine: OnnxEngine, manifest: Manifest, *, batch_size: int) -> None:
        self.manifest = manifest
        self._engine = engine
        self._batch_size = batch_size

    @property
    def device(self) -> Device:
        """What it computes on: what was asked for, what was got, and why."""
        return self._engine.device

    def score(
        self,
        scan: str | os.PathLike[str] | np.ndarray,
        *,
        spacing_mm: Sequence[float] | None = None,
        volume: int = 0,
        max_voxels: int = MAX_VOXELS,
    ) -> ScanFinding:
        """What the model finds in one scan.

        Args:
            scan: A file, or the folder of one DICOM series; or an array. Arrays of uint8 or uint16
                and shape (row, column) or (row, column, colour), with three or four colours in
                the order red, green, blue, are pictures: 0 is black, the largest value of their
                type white. Others are voxels in the scanner's unit (CT: HU) of shape
                (row, column) or (slice, row, column), whose axes run towards the patient's
                superior, posterior and left, as axial slices are shown.
            spacing_mm: Of an array of voxels, its distance along each axis.
            volume: Which volume of a 4-D file, from 0.
            max_voxels: Larger files are refused by their headers: bounds the memory.

        Raises:
            infer.errors.UnreadableScanError: it cannot be read, or is none this model can take.
            infer.errors.UnknownChoiceError: a negative volume, or less than one voxel.
        """
        if isinstance(scan, np.ndarray):
            return self.score_volume(volume_of(scan, spacing_mm))
        choice = Choice(volume=volume, max_voxels=max_voxels, plane=self.manifest.plane)
        return self.score_volume(read(Path(os.fspath(scan)), choice))

    def score_volume(self, volume: Volume) -> ScanFinding:
        """The same for a scan that was read already."""
        (finding,) = find_all([volume], self.manifest, self._engine, batch_size=self._batch_size)
        return _on_the_files_grid(finding, volume, self.manifest)


def open_model(
    model: str | os.PathLike[str],
    *,
    device: str,
    precision: Precision | None,
    threshold: float | None,
    map_threshold: float | None,
    batch_size: int | None,
    tensorrt_cache: str | os.PathLike[str] | None,
    require_signature: str | os.PathLike[str] | None,
) -> Model:
    """See `infer.load`."""
    file = located(os.fspath(model), warnings.warn)
    engine = open_engine(
        file.path,
        device=device,
        threads=cores(),
        precision=precision,
        tensorrt_cache=None if tensorrt_cache is None else Path(tensorrt_cache),
        public_key=None if require_signature is None else Path(require_signature),
    )
    manifest = with_thresholds(engine.manifest, threshold, map_threshold)
    return Model(engine, manifest, batch_size=batch_size or batch_size_of(engine))


def volume_of(array: np.ndarray, spacing_mm: Sequence[float] | None = None) -> Volume:
    """An array as a scan; see `Model.score`.

    Raises:
        UnreadableScanError: it is neither a picture nor a volume.
    """
    if not 0 < array.size <= MAX_VOXELS:
        raise UnreadableScanError(
            f"an array of {array.size:,} voxels cannot be scored",
            hint=f"from 1 to {MAX_VOXELS:,} can",
        )
    is_coloured = array.ndim == 3 and array.shape[-1] in COLOURS
    native = array.dtype.newbyteorder("=")
    if native in PICTURE_DTYPES and (array.ndim == 2 or is_coloured):
        return _picture(array.astype(native, copy=False))
    if array.ndim not in (2, 3) or array.dtype.kind not in "iuf":
        raise UnreadableScanError(
            f"an array of shape {array.shape} and type {array.dtype} is no scan",
            hint="(row, column), (row, column, colour) or (slice, row, column) of real numbers",
        )
    if not np.isfinite(array).all():
        raise UnreadableScanError("the array holds values that are not finite (NaN or infinity)")
    if spacing_mm is not None and not _fits(spacing_mm, array):
        raise UnreadableScanError(
            f"spacing_mm must be {array.ndim} distances above 0, got {spacing_mm}",
            hint="one for each axis of the array, in millimetres",
        )
    axes = tuple(range(array.ndim))
    return Volume(
        voxels=np.ascontiguousarray(array, np.float32)[np.newaxis],
        unit="modality",
        spacing_mm=None if spacing_mm is None else tuple(map(float, spacing_mm)),
        grid=Grid(shape=array.shape, axes=axes, flipped=(False,) * array.ndim),
    )


def _fits(spacing_mm: Sequence[float], array: np.ndarray) -> bool:
    return len(spacing_mm) == array.ndim and all(
        math.isfinite(length) and length > 0 for length in spacing_mm
    )


def _picture(pixels: np.ndarray) -> Volume:
    """What the reader makes of a PNG file of these pixels: it is the rule, not a copy of it."""
    import cv2

    from infer.readers import image

    turned: Any = pixels
    if pixels.ndim == 3:
        to_files = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}[pixels.shape[-1]]
        turned = cv2.cvtColor(np.ascontiguousarray(pixels), to_files)
    encoded = cv2.imencode(".png", turned, (cv2.IMWRITE_PNG_COMPRESSION, 0))[1]
    return image.decode(encoded.tobytes(), "the array")


def _slice_scores(finding: Finding, volume: Volume, manifest: Manifest) -> Scores:
    """In the file's order, NaN where the model does not look; of a whole volume, its one score."""
    if is_volumetric(manifest.image_size):
        return finding.slice_scores
    every = len(to_slices(volume.voxels[:1], manifest.plane))
    scores = np.full(every, np.nan, np.float32)
    scores[list(slices_in_file(volume, manifest))] = finding.slice_scores
    return scores


def _on_the_files_grid(finding: Finding, volume: Volume, manifest: Manifest) -> ScanFinding:
    unnamed = Task(scan="", path=Path(), mask="", overlay="", map="")
    row = row_of(unnamed, volume, finding, manifest)  # the report's own numbers
    return ScanFinding(
        score=finding.score,
        threshold=manifest.score_threshold.value,
        normal_percentile=row.normal_percentile,
        anomalous=bool(row.anomalous),
        map=np.ascontiguousarray(volume.grid.to_file(finding.anomaly_map)),
        mask=np.ascontiguousarray(volume.grid.to_file(finding.mask)),
        peak=volume.grid.index_in_file(finding.peak),
        peak_value=finding.peak_value,
        lesions=finding.lesions,
        anomaly_volume_ml=row.anomaly_volume_ml,
        slice_scores=_slice_scores(finding, volume, manifest),
        worst_slice=row.worst_slice or 0,
        warnings=(*volume.warnings, *finding.warnings),
    )
