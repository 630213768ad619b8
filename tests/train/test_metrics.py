import numpy as np
import pytest
from sklearn import metrics as exact

from train.metrics import (
    BINS,
    Bootstrap,
    bootstrap,
    count_pixels,
    image_metrics,
    merge_pixels,
    pixel_metrics,
    resamples_of,
)

CONFIG = Bootstrap(resamples=200, confidence=0.9, seed=3)


def maps_and_truths(scans=6, size=40, seed=0):
    rng = np.random.default_rng(seed)
    truths = rng.random((scans, size, size)) < 0.05
    truths[0] = False
    maps = np.abs(rng.normal(size=truths.shape) + 1.5 * truths).astype(np.float32)
    return maps, truths


def counts_of(maps, truths, *, threshold=2.0):
    scans = zip(maps, truths, strict=True)
    return merge_pixels([count_pixels(it, it > threshold, truth) for it, truth in scans])


def test_image_metrics_of_four_scans_are_those_counted_by_hand():
    scores = np.array([1.0, 3.0, 2.0, 4.0])
    abnormal = np.array([False, False, True, True])
    found = image_metrics(scores, scores > 2.5, abnormal)
    assert found == {
        "auroc": 0.75,
        "average_precision": pytest.approx((1 + 2 / 3) / 2),
        "accuracy": 0.5,
        "recall": 0.5,
        "precision": 0.5,
        "f1": 0.5,
        "specificity": 0.5,
    }


def test_counting_a_scan_twice_equals_having_it_twice():
    rng = np.random.default_rng(0)
    scores, abnormal = rng.random(9), np.arange(9) % 3 == 0
    weights = np.array([2.0, 1, 0, 1, 3, 1, 1, 0, 1])
    rows = np.repeat(np.arange(9), weights.astype(int))
    weighted = image_metrics(scores, scores > 0.5, abnormal, weights)
    assert weighted == pytest.approx(
        image_metrics(scores[rows], scores[rows] > 0.5, abnormal[rows])
    )


def test_accuracy_is_scikit_learns():
    rng = np.random.default_rng(4)
    abnormal, anomalous, weights = rng.random(30) < 0.3, rng.random(30) < 0.4, rng.random(30)
    found = image_metrics(rng.random(30), anomalous, abnormal, weights)["accuracy"]
    expected = exact.accuracy_score(abnormal, anomalous, sample_weight=weights)
    assert found == pytest.approx(expected)


def test_there_are_no_metrics_of_one_class():
    assert image_metrics(np.ones(3), np.ones(3, bool), np.ones(3, bool)) == {}


def test_pixel_metrics_from_counts_are_near_those_of_all_pixels():
    maps, truths = maps_and_truths()
    found = pixel_metrics(counts_of(maps, truths))
    flat, truth = maps.reshape(-1), truths.reshape(-1)
    precision, recall, _ = exact.precision_recall_curve(truth, flat)
    best = (2 * precision * recall / (precision + recall + 1e-12)).max()
    assert found["pixel_auroc"] == pytest.approx(exact.roc_auc_score(truth, flat), abs=1 / BINS)
    assert found["pixel_ap"] == pytest.approx(exact.average_precision_score(truth, flat), rel=0.01)
    assert found["best_dice"] == pytest.approx(best, rel=0.01)
    assert found["dice"] == pytest.approx(exact.f1_score(truth, flat > 2.0), abs=1e-12)


def test_negative_and_equal_map_values_keep_their_order():
    maps = np.array([[[-2.0, -1.0, -0.0, 0.0, 1.0, 2.0]]], np.float32)
    truths = np.array([[[False, False, True, False, True, True]]])
    found = pixel_metrics(counts_of(maps, truths))
    expected = exact.roc_auc_score(truths.reshape(-1), maps.reshape(-1))
    assert found["pixel_auroc"] == pytest.approx(expected)


def test_dice_is_counted_over_the_pixels_of_all_scans():
    maps = np.zeros((2, 4, 4), np.float32)
    truths = np.zeros((2, 4, 4), bool)
    truths[0, 0, :2] = True  # two abnormal pixels, one found
    maps[0, 0, 1:3] = 9  # and one false
    maps[1, 3, 3] = 9  # and one false in the normal scan
    assert pixel_metrics(counts_of(maps, truths))["dice"] == pytest.approx(2 * 1 / (2 + 2 + 1))


def test_weighted_counts_equal_repeated_scans():
    maps, truths = maps_and_truths(scans=3)
    rows = [0, 1, 1, 1]
    weighted = pixel_metrics(counts_of(maps, truths), np.array([1.0, 3.0, 0.0]))
    repeated = pixel_metrics(counts_of(maps[rows], truths[rows]))
    # the bins are chosen for other scans: equal up to binning
    assert weighted == pytest.approx(repeated, rel=0.01)


def test_pixels_without_any_abnormal_one_have_no_metrics():
    maps, _ = maps_and_truths(scans=2)
    assert pixel_metrics(counts_of(maps, np.zeros(maps.shape, bool))) == {}


def test_a_group_is_drawn_as_a_whole():
    groups = ["a", "a", "b", "c", "a"]
    for weights in resamples_of(groups, CONFIG):
        assert weights[0] == weights[1] == weights[4]
        assert weights[0] + weights[2] + weights[3] == 3  # as many draws as groups


def test_more_scans_of_the_same_patients_do_not_narrow_the_interval():
    rng = np.random.default_rng(1)
    scores, abnormal = rng.normal(size=30), np.arange(30) % 2 == 0
    scores += abnormal
    groups = [str(it) for it in range(30)]

    def width(times):
        many = np.tile(scores, times), np.tile(abnormal, times)
        found = bootstrap(
            lambda weights: image_metrics(many[0], many[0] > 0, many[1], weights),
            groups * times,
            CONFIG,
        )["auroc"]
        return found.high - found.low

    assert width(3) == pytest.approx(width(1))


def test_the_interval_surrounds_the_value_and_depends_on_the_seed_alone():
    rng = np.random.default_rng(2)
    abnormal = np.arange(40) % 2 == 0
    scores = rng.normal(size=40) + abnormal

    def found():
        return bootstrap(
            lambda weights: image_metrics(scores, scores > 0, abnormal, weights),
            [str(it) for it in range(40)],
            CONFIG,
        )

    assert found() == found()
    assert found()["auroc"].low < found()["auroc"].value < found()["auroc"].high


def test_resamples_of_one_class_are_left_out():
    scores, abnormal = np.array([1.0, 2.0]), np.array([False, True])
    found = bootstrap(
        lambda weights: image_metrics(scores, scores > 1.5, abnormal, weights), ["a", "b"], CONFIG
    )
    assert found["auroc"].low == found["auroc"].high == 1.0
