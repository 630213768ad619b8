"""How good scores and maps are, each number with a bootstrap interval; scikit-learn computes.

Pixel metrics take no pixels but counts of map values (`PixelCounts`), so that a thousand resamples
of a hundred volumes take seconds. The bins are fine: against the exact values the error of AUROC
is at most 1 / `BINS`, and that of average precision and best Dice stays below 1 % in our tests.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import sklearn
from sklearn import metrics

from infer.shapes import AnomalyMap, Mask
from train.bounds import Seed

BINS = 1000  # a merged bin holds at most 1 / BINS of the normal and of the abnormal pixels
# … and at most this share of the pixels above it, so that precision is fine at the top as well.
FINENESS = 0.01
# Of a float32, sign, exponent and 11 bits of the mantissa: values within 0.05 % share a fine bin.
DROPPED_BITS = 12

Weights = np.ndarray  # how often each scan counts
Confusion = tuple[int, int, int]  # voxels: true positive, false positive, false negative


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """How intervals are found: the block `evaluate`."""

    resamples: int
    confidence: float
    seed: Seed

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise ValueError(f"resamples must be at least 1, got {self.resamples}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must lie between 0 and 1, got {self.confidence}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A metric and the interval its resamples fill."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelCounts:
    """What pixel metrics need of a set of scans: counts `(scan, bin)` and `(scan,)`."""

    abnormal: np.ndarray  # pixels that are abnormal, by rising map value
    normal: np.ndarray
    true_positive: np.ndarray  # of the shipped mask
    false_positive: np.ndarray
    false_negative: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPixels:
    """One scan's counts: of its occupied fine bins, and of its mask."""

    bins: np.ndarray  # order-preserving keys of map values, ascending
    abnormal: np.ndarray
    normal: np.ndarray
    confusion: Confusion


def image_metrics(
    scores: np.ndarray, anomalous: np.ndarray, abnormal: np.ndarray, weights: Weights | None = None
) -> dict[str, float]:
    """Metrics of scan scores, and of the decision `anomalous`; {} unless both classes are there."""
    count = np.ones(len(scores)) if weights is None else weights
    if not (count @ abnormal and count @ ~abnormal):
        return {}
    ranked = {"sample_weight": count}
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        abnormal, anomalous, labels=[False, True], zero_division=0, **ranked
    )
    return {
        "auroc": float(metrics.roc_auc_score(abnormal, scores, **ranked)),
        "average_precision": float(metrics.average_precision_score(abnormal, scores, **ranked)),
        "accuracy": float(np.average(recall, weights=support)),
        "recall": float(recall[1]),
        "precision": float(precision[1]),
        "f1": float(f1[1]),
        "specificity": float(recall[0]),
    }


def pixel_metrics(counts: PixelCounts, weights: Weights | None = None) -> dict[str, float]:
    """Metrics over the pixels of all scans together; {} unless some are abnormal, some not.

    `dice` is that of the shipped masks, `best_dice` an oracle: that of the bare map at whichever
    threshold suits these very scans best.
    """
    count = np.ones(len(counts.true_positive)) if weights is None else weights
    abnormal, normal = count @ counts.abnormal, count @ counts.normal
    if not (abnormal.any() and normal.any()):
        return {}
    value = np.arange(len(abnormal))
    values, truth = np.tile(value, 2), np.repeat([True, False], len(value))
    how = {"sample_weight": np.concatenate([abnormal, normal])}
    precision, recall, _ = metrics.precision_recall_curve(truth, values, **how)
    tiny = np.finfo(float).tiny  # precision and recall may both be 0
    confusion = count @ np.stack(
        [counts.true_positive, counts.false_positive, counts.false_negative], axis=1
    )
    return {
        "pixel_auroc": float(metrics.roc_auc_score(truth, values, **how)),
        # What average_precision_score sums, of the curve that is here already.
        "pixel_ap": float(-np.sum(np.diff(recall) * precision[:-1])),
        "dice": dice_of(confusion),
        "best_dice": float((2 * precision * recall / np.maximum(precision + recall, tiny)).max()),
    }


def count_pixels(anomaly_map: AnomalyMap, mask: Mask, truth: Mask) -> ScanPixels:
    """Count one scan's map values by fine bins, and its shipped mask against the truth."""
    keys = _keys(anomaly_map)
    lowest = int(keys.min())
    keys -= np.uint32(lowest)
    both = np.bincount(keys.reshape(-1))
    occupied = np.flatnonzero(both)
    abnormal = np.bincount(keys[truth], minlength=len(both))[occupied]
    return ScanPixels(
        bins=(occupied + lowest).astype(np.uint32),
        abnormal=abnormal.astype(np.uint32),  # kept of every scan: half as much
        normal=(both[occupied] - abnormal).astype(np.uint32),
        confusion=confusion_of(mask, truth),
    )


def confusion_of(mask: Mask, truth: Mask) -> Confusion:
    """Voxels of a mask against the truth."""
    both, marked, true = (int(np.count_nonzero(it)) for it in (mask & truth, mask, truth))
    return both, marked - both, true - both


def lowest_values(bins: np.ndarray) -> np.ndarray:
    """The lowest map value of each fine bin, up to the sign of 0."""
    keys = np.asarray(bins, np.uint32) << np.uint32(DROPPED_BITS)
    positive = (keys >> np.uint32(31)).astype(bool)
    # Among negative values the bits fall as the value rises: the lowest has the dropped ones set.
    return np.where(positive, keys & np.uint32((1 << 31) - 1), ~keys).view(np.float32)


def pooled_pixels(scans: Sequence[ScanPixels]) -> ScanPixels:
    """The counts of all scans together, as if they were one."""
    fine = np.unique(np.concatenate([scan.bins for scan in scans]))
    total = np.zeros((2, len(fine)), np.int64)
    for scan in scans:
        at = np.searchsorted(fine, scan.bins)
        total[0, at] += scan.abnormal
        total[1, at] += scan.normal
    both, false, missed = (int(it) for it in np.sum([scan.confusion for scan in scans], axis=0))
    return ScanPixels(
        bins=fine, abnormal=total[0], normal=total[1], confusion=(both, false, missed)
    )


def merge_pixels(scans: Sequence[ScanPixels], *, bins: int = BINS) -> PixelCounts:
    """All scans' counts over common bins, of which none holds more than its share."""
    pooled = pooled_pixels(scans)
    fine = pooled.bins
    coarse = _merged(np.stack([pooled.abnormal, pooled.normal]).astype(float), bins)
    counts = np.zeros((2, len(scans), coarse[-1] + 1))
    for row, scan in enumerate(scans):
        at = coarse[np.searchsorted(fine, scan.bins)]
        np.add.at(counts[0, row], at, scan.abnormal)
        np.add.at(counts[1, row], at, scan.normal)
    true_positive, false_positive, false_negative = np.array([it.confusion for it in scans]).T
    return PixelCounts(
        abnormal=counts[0],
        normal=counts[1],
        true_positive=true_positive,
        false_positive=false_positive,
        false_negative=false_negative,
    )


def bootstrap(
    measure: Callable[[Weights | None], Mapping[str, float]],
    groups: Sequence[str],
    config: Bootstrap,
) -> dict[str, Interval]:
    """Metrics of all scans, and the interval they fill when groups are drawn with replacement.

    Resamples in which a metric does not exist (one class only) are left out.
    """
    found: dict[str, list[float]] = {}
    with sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        values = measure(None)
        for weights in resamples_of(groups, config):
            for name, value in measure(weights).items():
                found.setdefault(name, []).append(value)
    outside = (1 - config.confidence) / 2
    intervals = {}
    for name, value in values.items():
        low, high = np.quantile(found.get(name, [value]), [outside, 1 - outside])
        intervals[name] = Interval(value=value, low=float(low), high=float(high))
    return intervals


def resamples_of(groups: Sequence[str], config: Bootstrap) -> Iterable[Weights]:
    """How often each scan counts in each resample: as often as its group was drawn."""
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    draw = np.random.default_rng(config.seed)
    for _ in range(config.resamples):
        drawn = draw.integers(len(names), size=len(names))
        yield np.bincount(drawn, minlength=len(names))[group_of].astype(np.float64)


def _merged(counts: np.ndarray, bins: int) -> np.ndarray:
    """The merged bin of every fine bin, given counts `(class, fine bin)`."""
    both = counts.sum(axis=0)
    above = np.cumsum(both[::-1])[::-1]  # the bin itself included
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * bins
    weight = np.maximum(share.max(axis=0), both / above / FINENESS)
    before = np.cumsum(weight) - weight
    return np.unique(before.astype(np.int64), return_inverse=True)[1]


def dice_of(confusion: Confusion | np.ndarray) -> float:
    """Dice of counted pixels; 0 where no mask and no truth has any."""
    true_positive, false_positive, false_negative = confusion
    both = 2 * true_positive + false_positive + false_negative
    return float(2 * true_positive / both) if both else 0.0


def _keys(values: np.ndarray) -> np.ndarray:
    """Unsigned integers in the order of the values, equal for nearly equal ones.

    The bits of a float, read as an integer, rise with it; those of a negative one fall.
    """
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.uint32)  # + 0: −0 is 0
    negative = (bits >> 31).astype(bool)
    return np.where(negative, ~bits, bits | np.uint32(1 << 31)) >> np.uint32(DROPPED_BITS)
