"""Thresholds and the table of normal scores: from validation scans, on the exported file.

Test scans have no part in it: `calibrate` takes what it is given, and stages give it validation.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from sklearn.metrics import precision_recall_curve

from export.normal_voxels import NormalOf, normal_slices, normal_values
from export.scan_scores import ScoredScan
from infer.errors import UadError
from infer.manifest import Manifest, Normals, Threshold
from infer.masking import Postprocessing
from infer.scoring import Aggregation, scan_score
from infer.traits import SPACING_DIGITS, Traits, traits_of

# Until there is one: nothing is above it, and unlike infinity it can be written as JSON.
UNCALIBRATED = Threshold(value=float(np.finfo(np.float32).max), chosen_by="not calibrated yet")

BY_ODDS = "the network's own odds of"


class CalibrationError(UadError):
    """Validation scans from which the thresholds asked for cannot be chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """How thresholds are chosen, and what happens after the graph: the block `export`."""

    anomalous_by: Literal["score", "mask"]
    score_threshold: Literal["f1"] | float  # a number: false-positive rate on validation normals
    normals: NormalOf  # whose scores and pixels are normal; see `export.normal_voxels`
    map_false_positive_rate: float  # share of the pixels of validation normals
    # Of methods that tell odds: the mask is where they are higher, 1 being even odds. None, and of
    # all other methods and baselines: the rate.
    map_odds: float | None
    aggregation: Aggregation
    postprocessing: Postprocessing

    def __post_init__(self) -> None:
        if self.score_threshold != "f1" and not 0 <= self.score_threshold < 1:
            raise ValueError(
                f"score_threshold must be f1 or a rate from 0 to below 1, "
                f"got {self.score_threshold}"
            )
        if not 0 < self.map_false_positive_rate < 1:
            raise ValueError(
                f"map_false_positive_rate must lie between 0 and 1, "
                f"got {self.map_false_positive_rate}"
            )
        if self.map_odds is not None and not 0 < self.map_odds < math.inf:
            raise ValueError(f"map_odds must be above 0, or null, got {self.map_odds}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What validation says of a model."""

    score_threshold: Threshold
    map_threshold: Threshold
    normals: Normals


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What is kept of one validation scan, or of its normal slices."""

    normal: bool
    score: float
    pixels: np.ndarray  # of the map, normals only
    traits: Traits
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...] | None


def calibrate(
    validation: Iterable[ScoredScan],
    config: ExportConfig,
    *,
    of: str = "validation normals",
    map_threshold: Threshold | None = None,
) -> Calibration:
    """Choose both thresholds and describe the normals.

    Args:
        map_threshold: that of the method's own odds; None: it is chosen by the rate.
        of: what the normals are called where a threshold is said to come from them.

    Raises:
        CalibrationError: there are no normals, or no abnormals to choose by F1.
    """
    seen = [part for scored in validation for part in _seen(scored, config)]
    normals = [it for it in seen if it.normal]
    if not normals:
        raise CalibrationError(
            "no validation scan is normal: thresholds cannot be chosen",
            hint="the study's split leaves none; lower split.normal_folds or add normal scans, or "
            "take the lesion-free slices of abnormal ones: export.normals: slices",
        )
    scores = np.array([it.score for it in seen])
    abnormal = np.array([not it.normal for it in seen])
    if config.score_threshold == "f1":
        # An abnormal scan then stands for two: itself, and what its normal slices alone score.
        what = "validation scans" + (" and lesion-free parts" if config.normals == "slices" else "")
        score_threshold = best_f1_threshold(scores, abnormal, what=what)
    else:
        score_threshold = score_threshold_at(scores[~abnormal], config.score_threshold, of=of)
    pixels = [it.pixels for it in normals if it.pixels.size]
    return Calibration(
        score_threshold=score_threshold,
        map_threshold=map_threshold
        or map_threshold_at(pixels, config.map_false_positive_rate, of=of),
        normals=_normals(normals),
    )


def best_f1_threshold(
    scores: np.ndarray, abnormal: np.ndarray, *, what: str = "validation scans"
) -> Threshold:
    """Half-way between two neighbouring scores where F1 is best; of equals, the highest.

    Raises:
        CalibrationError: nothing is abnormal.
    """
    if not abnormal.any():
        raise CalibrationError(
            "no validation scan is abnormal: F1 cannot choose a score threshold",
            hint="set export.score_threshold to a false-positive rate on normals, e.g. 0.05",
        )
    precision, recall, candidates = precision_recall_curve(abnormal, scores)
    tiny = np.finfo(float).tiny  # precision and recall may both be 0
    f1 = (2 * precision * recall / np.maximum(precision + recall, tiny))[:-1]
    best = int(np.flatnonzero(f1 >= f1.max() - 1e-12)[-1])
    at = float(candidates[best])
    below = float(candidates[best - 1]) if best else at - max(1e-6, abs(at) * 1e-3)
    return Threshold(
        value=(at + below) / 2,
        chosen_by=f"best F1 ({f1[best]:.3f}) on {len(scores)} {what} "
        f"({int((~abnormal).sum())} normal, {int(abnormal.sum())} abnormal)",
    )


def score_threshold_at(
    normal_scores: np.ndarray, rate: float, *, of: str = "validation normals"
) -> Threshold:
    """The lowest of the normals' scores that at most a share `rate` of them lie above."""
    count = len(normal_scores)
    above = math.floor(rate * count + 1e-9)  # 0.05 · 20 is 1, not 0.9999…
    value = float(np.sort(normal_scores)[count - 1 - above])
    found = int((normal_scores > value).sum())
    # The highest of n is passed by one in n + 1 of those that come: of six, by 14 %.
    few = f"; too few to tell {rate:g}: it is their highest" if rate and not above else ""
    return Threshold(
        value=value,
        chosen_by=f"{_rate(rate)}on {count} {of} ({found} of them above{few})",
    )


def map_threshold_at(
    pixels: Sequence[np.ndarray], rate: float, *, of: str = "validation normals"
) -> Threshold:
    """The value that a share `rate` of the validation normals' pixels lies above.

    Raises:
        CalibrationError: there are no pixels.
    """
    if not pixels:
        raise CalibrationError(
            "no validation normal has a pixel of foreground: a map threshold cannot be chosen",
            hint="is export.postprocessing.foreground the right one for these scans?",
        )
    together = np.concatenate(pixels)
    value = float(np.quantile(together, 1 - rate))
    return Threshold(
        value=value,
        chosen_by=f"{_rate(rate)}on {len(together)} pixels of "
        f"{len(pixels)} {of}, before the mask is cleaned",
    )


def odds_threshold(
    map_at_odds: Callable[[float], float | None], odds: float | None
) -> Threshold | None:
    """The value of a graph's map at these odds; None where it tells none, or none are asked for."""
    value = None if odds is None else map_at_odds(odds)
    if value is None:
        return None
    return Threshold(value=value, chosen_by=f"{BY_ODDS} {odds:g} that a voxel was planted")


def kept_by_odds(threshold: Threshold) -> Threshold | None:
    """A threshold of `odds_threshold`, for no scans chose it and others would choose no other."""
    return threshold if threshold.chosen_by.startswith(BY_ODDS) else None


def other_rules(manifest: Manifest, config: ExportConfig) -> list[str]:
    """What of the block `export` is otherwise than when a file was made, by its keys."""
    by = manifest.score_threshold.chosen_by
    wanted = "best F1" if config.score_threshold == "f1" else _rate(config.score_threshold)
    differs = {
        it: getattr(manifest, it) != getattr(config, it)
        for it in ("anomalous_by", "aggregation", "postprocessing")
    }
    differs["score_threshold"] = not by.startswith((wanted, UNCALIBRATED.chosen_by))
    of_map = manifest.map_threshold.chosen_by
    if of_map.startswith(BY_ODDS):
        odds = config.map_odds
        differs["map_odds"] = odds is None or not of_map.startswith(f"{BY_ODDS} {odds:g} ")
    else:
        differs["map_false_positive_rate"] = not of_map.startswith(
            (_rate(config.map_false_positive_rate), UNCALIBRATED.chosen_by)
        )
    return [name for name, is_other in differs.items() if is_other]


def _rate(rate: float) -> str:
    """How the words of a threshold begin that is chosen by a rate."""
    return f"false-positive rate {rate:g} "


def _seen(scored: ScoredScan, config: ExportConfig) -> list[_Seen]:
    """Of a normal scan one, of an abnormal one as many as there is of normal and of abnormal."""
    if scored.case.normal:
        return [_part(scored, config, normal=True)]
    abnormal = _part(scored, config, normal=False)
    return [abnormal, *_normal_part(scored, config)]


def _normal_part(scored: ScoredScan, config: ExportConfig) -> list[_Seen]:
    """An abnormal scan as if it had its normal slices only."""
    normal, scores = normal_slices(scored, config.normals), scored.finding.slice_scores
    if not normal.any() or len(scores) != len(normal):  # a model of volumes scores no slices
        return []
    whole = _part(scored, config, normal=True)
    return [
        replace(
            whole,
            score=scan_score(scores[normal], config.aggregation),
            traits=traits_of(scored.volume, scored.finding.images[normal]),
        )
    ]


def _part(scored: ScoredScan, config: ExportConfig, *, normal: bool) -> _Seen:
    spacing_mm = scored.volume.spacing_mm
    return _Seen(
        normal=normal,
        score=scored.finding.score,
        pixels=normal_values(scored, config.normals) if normal else np.empty(0, np.float32),
        traits=traits_of(scored.volume, scored.finding.images),
        size=tuple(scored.volume.voxels.shape[1:]),
        spacing_mm=None
        if spacing_mm is None
        else tuple(round(it, SPACING_DIGITS) for it in spacing_mm),
    )


def _normals(seen: Sequence[_Seen]) -> Normals:
    return Normals(
        scores=tuple(sorted(it.score for it in seen)),
        intensity_mean=tuple(it.traits.intensity_mean for it in seen),
        intensity_std=tuple(it.traits.intensity_std for it in seen),
        sizes=tuple(sorted({it.size for it in seen})),
        spacings_mm=tuple(sorted({it.spacing_mm for it in seen if it.spacing_mm is not None})),
        scan_sizes=tuple(it.traits.size for it in seen),
        scan_spacings_mm=tuple(it.traits.spacing_mm for it in seen),
    )
