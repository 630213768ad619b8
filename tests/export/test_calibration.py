from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.calibration import (
    CalibrationError,
    ExportConfig,
    best_f1_threshold,
    calibrate,
    map_threshold_at,
    score_threshold_at,
)
from export.scan_scores import ScoredScan
from infer.finding import Finding
from infer.masking import Postprocessing
from infer.scoring import Aggregation
from infer.volume import Grid, Volume
from train.datasets.case import Case


def config(**changes):
    numbers = {
        "anomalous_by": "score",
        "score_threshold": "f1",
        "map_false_positive_rate": 0.1,
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


def test_f1_without_abnormal_scans_is_refused_with_a_way_out():
    with pytest.raises(CalibrationError) as caught:
        calibrate([scored(1, normal=True)], config())
    assert "false-positive rate" in caught.value.hint


def test_validation_without_normals_or_masks_is_refused():
    with pytest.raises(CalibrationError, match="no validation scan is normal"):
        calibrate([scored(1, normal=False)], config())


def patient(offset, *, ill=(1, 2), slices=None, truth=True, plane="axial"):
    """A volume of 6 slices of 4 × 5: in slice n the map is `offset` + n, in its lesion 100.

    The lesion fills half of each slice in `ill`, and such a slice scores 100.
    """
    rising = np.arange(offset, offset + 6, dtype=np.float32)
    anomaly_map = np.repeat(rising, 20).reshape(6, 4, 5)
    lesion = np.zeros((6, 4, 5), bool)
    lesion[list(ill), :2] = True
    anomaly_map[lesion] = 100
    looked = range(6) if slices is None else slices
    scores = np.array([100.0 if at in ill else offset + at for at in looked], np.float32)
    outside = np.setdiff1d(np.arange(6), looked)
    anomaly_map[outside] = 0
    one = scored(100, normal=not len(ill))
    return replace(
        one,
        volume=replace(one.volume, voxels=anomaly_map[np.newaxis], spacing_mm=(3.0, 1.0, 1.0)),
        finding=replace(
            one.finding,
            score=float(scores.mean()),
            anomaly_map=anomaly_map,
            mask=lesion,
            slice_scores=scores,
            images=np.broadcast_to(scores[:, None, None, None], (len(scores), 1, 4, 4)),
        ),
        truth=lesion if truth else None,
        plane=plane,
        slices=looked,
    )


def test_where_every_scan_has_lesions_the_map_threshold_is_of_the_voxels_outside_them():
    patients = [patient(0), patient(10)]
    found = calibrate(patients, config(score_threshold=0.0, map_false_positive_rate=0.25))
    normal = np.concatenate([it.finding.anomaly_map[~it.truth] for it in patients])
    assert (normal > found.map_threshold.value).mean() == pytest.approx(0.25, abs=0.1)
    assert found.map_threshold.value == np.quantile(normal, 0.75)
    assert found.map_threshold.value < 100
    assert "voxels outside the lesions of 2 scans with lesions" in found.map_threshold.chosen_by
    assert f"{len(normal)} pixels" in found.map_threshold.chosen_by


def test_and_the_score_threshold_is_of_what_their_lesion_free_slices_score():
    patients = [patient(0), patient(10)]  # slices 0, 3, 4 and 5 are free
    found = calibrate(patients, config(score_threshold=0.0))
    assert found.normals.scores == (3.0, 13.0)
    assert found.normals.intensity_mean == (3.0, 13.0)
    assert found.score_threshold.value == 13.0
    assert "slices that no lesion reaches of 2 scans with" in found.score_threshold.chosen_by


def test_f1_then_parts_the_lesion_free_slices_of_patients_from_the_patients():
    patients = [patient(0), patient(10)]
    found = calibrate(patients, config())
    assert 13.0 < found.score_threshold.value < min(it.finding.score for it in patients)
    assert "best F1 (1.000)" in found.score_threshold.chosen_by
    assert "(2 normal, 2 abnormal)" in found.score_threshold.chosen_by


def test_one_normal_scan_is_enough_for_patients_to_leave_thresholds_alone():
    normal = patient(5, ill=())
    alone = calibrate([normal], config(score_threshold=0.0))
    assert calibrate([patient(0), normal], config(score_threshold=0.0)) == alone
    assert "lesions" not in alone.map_threshold.chosen_by


def test_slices_that_are_not_looked_at_make_no_map_look_cleaner_than_it_is():
    some = calibrate([patient(50, ill=(3,), slices=range(2, 5))], config(score_threshold=0.0))
    assert "50 pixels" in some.map_threshold.chosen_by  # 3 slices of 20, less a lesion of 10
    assert some.map_threshold.value >= 52
    assert some.normals.scores == (53.0,)


@pytest.mark.parametrize("wrong", [{"truth": False}, {"ill": range(6)}], ids=["unknown", "all"])
def test_a_patient_of_whom_no_slice_is_known_to_be_free_calibrates_nothing(wrong):
    with pytest.raises(CalibrationError) as caught:
        calibrate([patient(0, **wrong)], config(score_threshold=0.0))
    assert "masks" in caught.value.hint


def test_memory_is_bounded_and_the_threshold_hardly_moves(monkeypatch):
    whole = calibrate([scored(1, normal=True, size=(100, 100))], config(score_threshold=0.0))
    monkeypatch.setattr("export.calibration.PIXELS_PER_SCAN", 1000)
    thinned = calibrate([scored(1, normal=True, size=(100, 100))], config(score_threshold=0.0))
    assert thinned.map_threshold.value == pytest.approx(whole.map_threshold.value, abs=2e-3)
    assert "1000 pixels" in thinned.map_threshold.chosen_by


@pytest.mark.parametrize("rate", [-0.1, 1.0, 3])
def test_a_rate_beyond_0_to_1_is_refused(rate):
    with pytest.raises(ValueError, match="score_threshold"):
        config(score_threshold=rate)
