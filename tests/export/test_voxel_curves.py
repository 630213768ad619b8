"""Curves of counts, against scikit-learn on the raw voxels."""

import numpy as np
import pytest
from sklearn import metrics as exact

from export.voxel_curves import POINTS, voxel_curves
from train.metrics import count_pixels, lowest_values


@pytest.fixture(scope="module")
def drawn():
    draw = np.random.default_rng(0)
    truths = draw.random((3, 40, 50)) < 0.1
    return (draw.normal(size=truths.shape) + 1.5 * truths).astype(np.float32), truths


def counted(maps, truths):
    return [count_pixels(it, it > 9, truth) for it, truth in zip(maps, truths, strict=True)]


def test_the_areas_under_the_curves_are_those_of_scikit_learn(drawn):
    curves = voxel_curves(counted(*drawn))
    maps, truth = (it.ravel() for it in drawn)
    area = exact.auc(curves.false_positive_rate, curves.true_positive_rate)
    assert area == pytest.approx(exact.roc_auc_score(truth, maps), abs=0.005)  # 400 points
    assert len(curves.threshold) <= POINTS + 2


def test_every_point_is_what_its_threshold_gives(drawn):
    curves = voxel_curves(counted(*drawn))
    maps, truth = (it.ravel() for it in drawn)
    for at in range(0, len(curves.threshold), 40):
        mask = maps >= curves.threshold[at]
        assert curves.dice[at] == pytest.approx(exact.f1_score(truth, mask))
        assert curves.precision[at] == pytest.approx(exact.precision_score(truth, mask))
        assert curves.true_positive_rate[at] == pytest.approx(exact.recall_score(truth, mask))
        assert curves.false_positive_rate[at] == pytest.approx(mask[~truth].mean())


def test_there_is_no_curve_of_one_class(drawn):
    maps, truths = drawn
    assert voxel_curves(counted(maps, truths & False)) is None
    assert voxel_curves([]) is None


def test_the_lowest_value_of_a_bin_lies_below_its_own_and_above_those_of_the_one_before():
    values = np.sort(np.random.default_rng(1).normal(size=500)).astype(np.float32)
    bins = count_pixels(values[np.newaxis], np.zeros((1, 500), bool), np.zeros((1, 500), bool)).bins
    lowest = lowest_values(bins)
    at = np.searchsorted(lowest, values, side="right") - 1
    assert (lowest[at] <= values).all()
    np.testing.assert_array_equal(np.unique(at), np.arange(len(bins)))
