"""What is kept of one test scan to say how well anomalies are located: numbers, no voxels."""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from export.lesions import Matched, match
from export.scan_scores import ScoredScan
from infer.manifest import Manifest
from infer.masking import lesions_above
from infer.shapes import Mask
from train.metrics import Confusion, ScanPixels, confusion_of, count_pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What can be said of a scan whose truth is known."""

    pixels: ScanPixels
    at_rates: dict[str, Confusion]  # of masks at further thresholds, by their names
    matched: Matched  # lesions of the truth and of the shipped mask
    abnormal: bool  # whether the truth marks anything
    peak_inside: bool  # whether the map is highest where the truth marks something
    # Of the slices in which there is any foreground:
    slice_scores: np.ndarray
    slice_peaks: np.ndarray  # the map's highest value, as it is compared with the threshold
    slice_abnormal: np.ndarray
    slice_empty: np.ndarray  # whether the mask has nothing in it


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedScan:
    """One test scan."""

    scan: str
    group: str
    kind: str  # of abnormality; empty: normal, or not known
    score: float
    mask_empty: bool
    mask_sha256: str
    voxel_ml: float | None  # None: a picture, or its voxels' size is not known
    truth: Truth | None  # None: not measured
    not_measured: str  # why


def locate(
    scored: ScoredScan, manifest: Manifest, map_thresholds: Mapping[str, float]
) -> LocatedScan:
    """Measure one scan at the shipped threshold and at further ones, each with its name."""
    case, finding = scored.case, scored.finding
    why_not = not_measured(scored)
    return LocatedScan(
        scan=case.scan.as_posix(),
        group=case.group,
        kind=case.kind,
        score=finding.score,
        mask_empty=not finding.mask.any(),
        mask_sha256=mask_sha256(finding.mask),
        voxel_ml=_voxel_ml(scored),
        truth=None
        if scored.truth is None or why_not
        else _truth(scored, scored.truth, manifest, map_thresholds),
        not_measured=why_not,
    )


def not_measured(scored: ScoredScan) -> str:
    """Why a scan is not measured; empty: it is."""
    if scored.truth is None:
        return "abnormal, and there is no mask of it"
    if scored.truth.any() and not scored.sliced(scored.truth).any():
        return "all that is abnormal lies in slices that the model does not look at"
    return ""


def mask_sha256(mask: Mask) -> str:
    """One name for exactly this mask on its volume's own grid."""
    digest = hashlib.sha256(repr(mask.shape).encode())
    digest.update(np.packbits(np.ascontiguousarray(mask)).tobytes())
    return digest.hexdigest()


def _truth(
    scored: ScoredScan, truth: Mask, manifest: Manifest, map_thresholds: Mapping[str, float]
) -> Truth:
    """Of the slices that were looked at."""
    finding, seen = scored.finding, scored.foreground_slices
    true, mask = scored.sliced(truth), scored.sliced(finding.mask)
    at_rates = {}
    for name, threshold in map_thresholds.items():
        further = lesions_above(
            finding.anomaly_map, threshold, manifest.postprocessing, manifest.plane
        )
        at_rates[name] = confusion_of(scored.sliced(further.mask), true)
    return Truth(
        pixels=count_pixels(scored.sliced(finding.anomaly_map), mask, true),
        at_rates=at_rates,
        matched=match(mask, true),
        abnormal=bool(true.any()),
        peak_inside=bool(truth[finding.peak]),
        slice_scores=_slice_scores(scored)[seen],
        slice_peaks=_slice_peaks(scored)[seen],
        slice_abnormal=np.asarray(true.any(axis=(1, 2)))[seen],
        slice_empty=~scored.masked_slices[seen],
    )


def _slice_scores(scored: ScoredScan) -> np.ndarray:
    """As reported; the map's highest where a model of whole volumes scores no slice."""
    scores = scored.finding.slice_scores
    if len(scores) == scored.slice_count:
        return scores
    return _slice_peaks(scored)


def _slice_peaks(scored: ScoredScan) -> np.ndarray:
    return np.asarray(scored.sliced(scored.finding.anomaly_map).max(axis=(1, 2)))


def _voxel_ml(scored: ScoredScan) -> float | None:
    spacing_mm = scored.volume.spacing_mm
    if spacing_mm is None or scored.finding.mask.ndim == 2:
        return None
    return math.prod(spacing_mm) / 1000
