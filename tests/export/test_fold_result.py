"""A fold's JSON: what comes back is what went in, and only for the same numbers and data."""

import math
from dataclasses import replace

import pytest

from export import fold_result
from tests.export import fold_results

RESULT = fold_results.fold(
    tests=[
        fold_results.half_result(
            scores=[0.1, 0.2, 0.6, 0.4, 0.7, 0.8], other={"top": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)}
        )
    ]
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "cae" / "published_fold0.json"
    fold_result.save(path, RESULT)
    return path


def test_what_comes_back_is_what_went_in(path):
    assert fold_result.load(path, "f") == RESULT


def test_another_fingerprint_is_refused_in_words(path):
    assert "other numbers" in fold_result.load(path, "g")


def test_a_missing_or_broken_file_is_refused_in_words(path):
    assert fold_result.load(path.with_name("none.json"), "f") == "there is none"
    path.write_text("{")
    assert "cannot be read" in fold_result.load(path, "f")


def test_a_fold_whose_fit_diverged_comes_back_its_curves_ending_where_numbers_do(tmp_path):
    history = [{"loss": 0.5, "other": math.inf}, {"loss": 0.4}, {"loss": math.nan}]
    curves = fold_result.thinned(history, at_most=5)
    assert curves == {"loss": ((0, 0.5), (1, 0.4))}
    result = replace(RESULT, history=curves)
    fold_result.save(tmp_path / "fold.json", result)
    assert fold_result.load(tmp_path / "fold.json", "f") == result


def test_a_newer_schema_is_refused(path):
    path.write_text(path.read_text().replace('"schema":1', '"schema":2'))
    assert "schema 2" in fold_result.load(path, "f")


def test_metrics_are_those_of_the_scores_and_of_the_decisions():
    found = RESULT.tests[0].metrics()
    # Of nine pairs eight are in order (0.6 > 0.4); two of three abnormals found, one false alarm.
    assert found["auroc"] == pytest.approx(8 / 9)
    assert found["recall"] == found["precision"] == pytest.approx(2 / 3)
    assert found["specificity"] == pytest.approx(2 / 3)
    assert found["psnr"] == pytest.approx(21.0)
    assert "ssim" not in found


def test_a_thinned_curve_keeps_its_first_and_last_points():
    history = [{"loss": float(at)} for at in range(100)]
    curve = fold_result.thinned(history, at_most=5)["loss"]
    assert len(curve) == 5
    assert (curve[0], curve[-1]) == ((0, 0.0), (99, 99.0))
