from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.calibration import (
    CalibrationError,
    ExportConfig,
    best_f1_threshold,
    calibrate,
    kept_by_odds,
    map_threshold_at,
    odds_threshold,
    score_threshold_at,
)
from export.scan_scores import ScoredScan
from infer.finding import Finding
from infer.manifest import Threshold
from infer.masking import Postprocessing
from infer.scoring import Aggregation
from infer.volume import Grid, Volume
from train.datasets.case import Case


def config(**changes):
    numbers = {
        "anomalous_by": "score",
        "score_threshold": "f1",
        "normals": "scans",
        "map_false_positive_rate": 0.1,
        "map_odds": None,
        "aggregation": Aggregation(top_share=1.0),
        "postprocessing": Postprocessing(closing_radius_px=0, smallest_lesion_px=0),
    }
    return ExportConfig(**(numbers | changes))


def scored(score, *, normal, size=(10, 10)):
    """A scan whose map counts its pixels up to `score`."""
    anomaly_map = np.linspace(0, score, size[0] * size[1], dtype=np.float32).reshape(size)
    images = np.full((1, 1, 4, 4), score, np.float32)
    return ScoredScan(
        case=Case(scan=Path(f"{score}.png"), group="g", normal=normal, mask=None),
        volume=Volume(
            voxels=anomaly_map[np.newaxis],
            unit="display",
            spacing_mm=None,
            grid=Grid(shape=size, axes=(0, 1), flipped=(False, False)),
        ),
        finding=Finding(
            score=float(score),
            anomaly_map=anomaly_map,
            mask=np.zeros(size, bool),
            slice_scores=np.array([score], np.float32),
            score_parts={},
            images=images,
            reconstruction=None,
            peak=(0, 0),
            peak_value=float(score),
            lesions=0,
        ),
        truth=None,
        plane="axial",
    )


def test_the_best_f1_lies_half_way_between_the_scores_it_parts():
    scores = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    abnormal = np.array([False, False, True, False, True])
    # above 2.5: 2 of 2 found, 1 false: F1 = 4/5; above 4.5: 1 of 2 found, none false: F1 = 2/3
    found = best_f1_threshold(scores, abnormal)
    assert found.value == 2.5
    assert found.chosen_by == "best F1 (0.800) on 5 validation scans (3 normal, 2 abnormal)"


def test_of_equally_good_thresholds_the_highest_is_taken():
    scores = np.array([1.0, 2.0, 3.0])
    abnormal = np.array([True, False, True])  # above 0: 2·2/(2+3) = 0.8; above 2.5: 2·1/(1+2)
    assert best_f1_threshold(scores, abnormal).value < 1.0
    twice = np.array([1.0, 1.0, 1.0, 3.0])  # above 0 and above 2: F1 = 2/3
    abnormal = np.array([True, False, False, True])
    assert best_f1_threshold(twice, abnormal).value == 2.0


def test_a_rate_leaves_at_most_that_share_of_normals_above():
    scores = np.arange(20.0)
    for rate, above in ((0.0, 0), (0.05, 1), (0.09, 1), (0.1, 2), (0.5, 10)):
        assert (scores > score_threshold_at(scores, rate).value).sum() == above


def test_equal_normals_are_not_split_by_a_rate():
    scores = np.ones(10)
    assert (scores > score_threshold_at(scores, 0.3).value).sum() == 0


def test_the_map_threshold_leaves_its_share_of_pixels_above():
    pixels = [np.arange(100, dtype=np.float32), np.arange(100, 200, dtype=np.float32)]
    value = map_threshold_at(pixels, 0.05).value
    assert (np.concatenate(pixels) > value).mean() == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("normals", "rate", "few"), [(6, 0.05, True), (20, 0.05, False), (6, 0.0, False)]
)
def test_a_rate_that_so_few_normals_cannot_tell_is_said_to_be_their_highest(normals, rate, few):
    seen = [scored(1 + at, normal=True) for at in range(normals)]
    threshold = calibrate(seen, config(score_threshold=rate)).score_threshold
    assert (threshold.value == normals) == (few or rate == 0)
    assert ("too few to tell 0.05" in threshold.chosen_by) == few


def test_abnormal_scans_leave_the_map_threshold_and_the_normals_alone():
    normals = [scored(1, normal=True), scored(2, normal=True)]
    alone = calibrate(normals, config(score_threshold=0.5))
    together = calibrate([*normals, scored(50, normal=False)], config(score_threshold=0.5))
    assert together == alone


def test_normals_are_described_in_rising_scores():
    found = calibrate(
        [scored(3, normal=True), scored(1, normal=True, size=(5, 8)), scored(9, normal=False)],
        config(),
    ).normals
    assert found.scores == (1.0, 3.0)
    assert sorted(found.intensity_mean) == [1.0, 3.0]
    assert found.sizes == ((5, 8), (10, 10))
    assert found.spacings_mm == ()
    assert sorted(found.scan_sizes) == [(1, 5, 8), (1, 10, 10)]
    assert found.scan_spacings_mm == ((0.0, 0.0, 0.0),) * 2


def test_f1_without_abnormal_scans_is_refused_with_a_way_out():
    with pytest.raises(CalibrationError) as caught:
        calibrate([scored(1, normal=True)], config())
    assert "false-positive rate" in caught.value.hint


def test_validation_without_normals_is_refused():
    with pytest.raises(CalibrationError, match="no validation scan is normal"):
        calibrate([scored(1, normal=False)], config())


def test_memory_is_bounded_and_the_threshold_hardly_moves(monkeypatch):
    whole = calibrate([scored(1, normal=True, size=(100, 100))], config(score_threshold=0.0))
    monkeypatch.setattr("export.normal_voxels.PIXELS_PER_SCAN", 1000)
    thinned = calibrate([scored(1, normal=True, size=(100, 100))], config(score_threshold=0.0))
    assert thinned.map_threshold.value == pytest.approx(whole.map_threshold.value, abs=2e-3)
    # Every eleventh: of every tenth, all would lie in ten of the hundred columns.
    assert "910 pixels" in thinned.map_threshold.chosen_by


def test_a_map_threshold_by_the_networks_own_odds_takes_the_place_of_the_rate():
    given = Threshold(value=4.0, chosen_by="by hand")
    scans = [scored(1, normal=True)]
    by_rate = calibrate(scans, config(score_threshold=0.0))
    found = calibrate(scans, config(score_threshold=0.0), map_threshold=given)
    assert found == replace(by_rate, map_threshold=given)


def test_a_graph_that_tells_odds_is_asked_and_no_other():
    found = odds_threshold(lambda odds: 2 * odds, 2.5)
    assert found.value == 5.0
    assert kept_by_odds(found) == found
    assert "odds of 2.5" in found.chosen_by
    assert odds_threshold(lambda odds: 2 * odds, None) is None
    assert odds_threshold(lambda odds: None, 2.5) is None
    by_rate = calibrate([scored(1, normal=True)], config(score_threshold=0.0))
    assert kept_by_odds(by_rate.map_threshold) is None


@pytest.mark.parametrize("odds", [0.0, -1.0, float("inf")])
def test_odds_that_are_none_are_refused(odds):
    with pytest.raises(ValueError, match="map_odds must be above 0, or null"):
        config(map_odds=odds)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 3])
def test_a_rate_beyond_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match="score_threshold"):
        config(score_threshold=rate)


def volume(*, lesion_in, normal=False, foreground=None, slice_scores=(1.0, 2.0, 3.0, 4.0)):
    """A scan of four slices; the map of slice k is k + 1 everywhere."""
    shape = (4, 5, 6)
    anomaly_map = np.empty(shape, np.float32)
    anomaly_map[:] = np.arange(1, 5)[:, np.newaxis, np.newaxis]
    truth = np.zeros(shape, bool)
    truth[lesion_in, 2, 2] = True
    plain = scored(4, normal=normal)
    return replace(
        plain,
        volume=replace(plain.volume, voxels=anomaly_map[np.newaxis], spacing_mm=(2.0, 1.0, 1.0)),
        finding=replace(
            plain.finding,
            anomaly_map=anomaly_map,
            mask=np.zeros(shape, bool),
            slice_scores=np.array(slice_scores, np.float32),
            images=np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1) * np.ones((1, 1, 2, 2), "f4"),
            foreground=foreground,
        ),
        truth=truth,
    )


SLICES = {"normals": "slices", "score_threshold": 0.0, "map_false_positive_rate": 0.5}


def test_lesion_free_slices_of_abnormal_scans_are_normals_where_that_is_asked_for():
    found = calibrate([volume(lesion_in=[2, 3])], config(**SLICES))
    assert found.normals.scores == (1.5,)  # the mean of slices 0 and 1, as the aggregation says
    assert found.normals.intensity_mean == (0.5,)
    assert found.score_threshold.value == 1.5
    assert found.map_threshold.value == 1.5  # half of the values are 1, half are 2
    assert "60 pixels of 1 validation normals" in found.map_threshold.chosen_by


def test_only_the_foreground_of_normal_slices_counts():
    inside = np.zeros((4, 5, 6), bool)
    inside[1:, 1:3, 1:3] = True  # nothing of slice 0
    found = calibrate([volume(lesion_in=[2, 3], foreground=inside)], config(**SLICES))
    assert found.normals.scores == (2.0,)
    assert found.map_threshold.value == 2.0
    assert "on 4 pixels" in found.map_threshold.chosen_by


def test_of_a_normal_scan_the_foreground_alone_counts_as_well():
    inside = np.zeros((4, 5, 6), bool)
    inside[3] = True
    scan = volume(lesion_in=[], normal=True, foreground=inside)
    assert calibrate([scan], config(score_threshold=0.0)).map_threshold.value == 4.0


def test_a_scan_with_lesions_in_every_slice_or_no_mask_has_no_normal_part():
    everywhere = volume(lesion_in=[0, 1, 2, 3])
    unknown = replace(volume(lesion_in=[]), truth=None)
    normal = scored(1, normal=True)
    alone = calibrate([normal], config(**SLICES))
    assert calibrate([normal, everywhere, unknown], config(**SLICES)) == alone


def test_normals_without_any_foreground_are_refused():
    scan = volume(lesion_in=[], normal=True, foreground=np.zeros((4, 5, 6), bool))
    with pytest.raises(CalibrationError, match="no validation normal has a pixel of foreground"):
        calibrate([scan], config(score_threshold=0.0))
