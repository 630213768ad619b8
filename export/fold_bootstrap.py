"""Bootstrap intervals of metrics that are computed within folds and averaged over them.

Groups are drawn with replacement from all test images together; one that was drawn twice counts
twice in every fold that tests it. All resamples are computed at once, or 500 of them for each row
of a table would take minutes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from train.metrics import Bootstrap, Interval, resamples_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldScores:
    """The test of one fold."""

    groups: tuple[str, ...]  # one per scan
    abnormal: np.ndarray
    scores: np.ndarray
    anomalous: np.ndarray


def intervals(folds: Sequence[FoldScores], config: Bootstrap) -> dict[str, Interval]:
    """Each metric's mean over the folds and the interval of that mean."""
    groups = [group for fold in folds for group in fold.groups]
    names, of = np.unique(np.array(groups), return_inverse=True)
    drawn = np.stack(list(resamples_of([str(it) for it in names], config)))
    weights = np.concatenate([np.ones((1, len(names))), drawn])[:, of]  # first: as they are
    ends = np.cumsum([len(fold.groups) for fold in folds])[:-1]
    parts = np.split(weights, ends, axis=1)
    found: dict[str, Interval] = {}
    outside = (1 - config.confidence) / 2
    for name, metric in METRICS.items():
        each = np.stack([metric(fold, part) for fold, part in zip(folds, parts, strict=True)])
        means = each.mean(axis=0)
        resampled = means[1:][np.isfinite(means[1:])]
        low, high = (
            np.quantile(resampled, [outside, 1 - outside]) if len(resampled) else means[[0, 0]]
        )
        found[name] = Interval(value=float(means[0]), low=float(low), high=float(high))
    return found


def _auroc(fold: FoldScores, weights: np.ndarray) -> np.ndarray:
    """Chance that an abnormal scan's score is above a normal one's, equal ones half."""
    ranks = rankdata(fold.scores, method="dense")  # equal scores are equal exactly
    above = ranks[fold.abnormal, None] - ranks[~fold.abnormal]
    wins = (above > 0) + 0.5 * (above == 0)
    ill, well = weights[:, fold.abnormal], weights[:, ~fold.abnormal]
    return _ratio(((ill @ wins) * well).sum(axis=1), ill.sum(axis=1) * well.sum(axis=1))


def _counts(fold: FoldScores, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """True positives, false positives, false and true negatives of every resample."""
    said, true = fold.anomalous, fold.abnormal
    return (
        weights[:, said & true].sum(axis=1),
        weights[:, said & ~true].sum(axis=1),
        weights[:, ~said & true].sum(axis=1),
        weights[:, ~said & ~true].sum(axis=1),
    )


def _accuracy(fold: FoldScores, weights: np.ndarray) -> np.ndarray:
    hit, _, _, rejected = _counts(fold, weights)
    return _ratio(hit + rejected, weights.sum(axis=1))


def _recall(fold: FoldScores, weights: np.ndarray) -> np.ndarray:
    hit, _, missed, _ = _counts(fold, weights)
    return _ratio(hit, hit + missed)


def _precision(fold: FoldScores, weights: np.ndarray) -> np.ndarray:
    """0 where nothing is called anomalous though something is; NaN where nothing is."""
    hit, alarm, missed, _ = _counts(fold, weights)
    found = np.where(hit + alarm == 0, 0.0, _ratio(hit, hit + alarm))
    return np.where(hit + missed == 0, np.nan, found)


def _f1(fold: FoldScores, weights: np.ndarray) -> np.ndarray:
    hit, alarm, missed, _ = _counts(fold, weights)
    return np.where(hit + missed == 0, np.nan, _ratio(2 * hit, 2 * hit + alarm + missed))


def _specificity(fold: FoldScores, weights: np.ndarray) -> np.ndarray:
    _, alarm, _, rejected = _counts(fold, weights)
    return _ratio(rejected, rejected + alarm)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """NaN where a resample holds none of what is counted."""
    shares: np.ndarray = np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
    return shares


METRICS: dict[str, Callable[[FoldScores, np.ndarray], np.ndarray]] = {
    "auroc": _auroc,
    "accuracy": _accuracy,
    "recall": _recall,
    "precision": _precision,
    "f1": _f1,
    "specificity": _specificity,
}
