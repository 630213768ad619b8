"""Intervals of means over folds: the metrics against scikit-learn's, the resampling by groups."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from export import fold_bootstrap
from train.metrics import Bootstrap, image_metrics

CONFIG = Bootstrap(resamples=50, confidence=0.9, seed=0)


def fold(seed, *, groups=None, count=30):
    chance = np.random.default_rng(seed)
    abnormal = np.arange(count) >= count // 3
    scores = np.round(chance.normal(size=count) + abnormal, 1)  # rounded: some are equal
    return fold_bootstrap.FoldScores(
        groups=groups or tuple(f"{seed}-{at}" for at in range(count)),
        abnormal=abnormal,
        scores=scores,
        anomalous=scores > 0.5,
    )


def test_a_value_is_the_mean_over_folds_of_what_the_product_measures():
    folds = [fold(seed) for seed in range(4)]
    found = fold_bootstrap.intervals(folds, CONFIG)
    expected = [image_metrics(it.scores, it.anomalous, it.abnormal) for it in folds]
    for name, interval in found.items():
        assert interval.value == pytest.approx(np.mean([it[name] for it in expected])), name
        assert interval.low <= interval.value <= interval.high


def test_resamples_without_an_abnormal_scan_say_nothing_of_how_those_are_told():
    right = [fold(seed, groups=tuple("ab" * 2 + "c" * 26)) for seed in range(2)]
    for it in right:
        it.abnormal[:] = np.arange(30) < 4  # two groups: a quarter of the resamples draw neither
        it.anomalous[:] = it.abnormal
    found = fold_bootstrap.intervals(right, CONFIG)
    for name in ("accuracy", "recall", "precision", "f1", "specificity"):
        assert (found[name].value, found[name].low, found[name].high) == (1.0, 1.0, 1.0), name


def test_a_weighted_area_is_that_of_repeated_scans():
    one = fold(0)
    weights = np.random.default_rng(1).integers(0, 3, (5, 30)).astype(float)
    found = fold_bootstrap.METRICS["auroc"](one, weights)
    expected = [roc_auc_score(one.abnormal, one.scores, sample_weight=it) for it in weights]
    np.testing.assert_allclose(found, expected)


def test_scans_of_one_group_are_drawn_together():
    apart = fold(0)
    right_last = np.argsort(np.argsort(apart.anomalous == apart.abnormal))
    together = fold(0, groups=tuple(str(at // 5) for at in right_last))  # alike in each group
    widths = []
    for it in (apart, together):
        found = fold_bootstrap.intervals([it], CONFIG)["accuracy"]
        widths.append(found.high - found.low)
    assert widths[1] > widths[0]
