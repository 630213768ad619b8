"""Whether fewer bits are accepted: by correlation, AUROC and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from export.calibration import CalibrationError
from export.variant_check import Comparison, Scored, compared, objections

ABNORMAL = np.array([False, False, True, True])
BEFORE = Scored(scores=np.array([1.0, 3.0, 2.0, 4.0]), anomalous=np.array([0, 1, 1, 1], bool))
GOOD = Comparison(scans=4, correlation=0.9995, auroc=0.9, auroc_before=0.902, decided_otherwise=0)


def scored(*scores, anomalous=(0, 1, 1, 1)):
    return Scored(scores=np.array(scores), anomalous=np.array(anomalous, bool))


def test_a_comparison_by_hand():
    found = compared(scored(1.0, 2.0, 3.0, 4.0, anomalous=(0, 0, 1, 1)), BEFORE, ABNORMAL)
    # Of four pairs of a normal and an abnormal scan, three were in order before, all are now.
    assert (found.auroc_before, found.auroc) == (0.75, 1.0)
    # Deviations (-1.5, -.5, .5, 1.5) and (-1.5, .5, -.5, 1.5): 4 / 5.
    assert found.correlation == pytest.approx(0.8)
    assert found.decided_otherwise == 1
    assert found.scans == 4


def test_a_shift_of_all_scores_is_not_seen():
    found = compared(scored(*(BEFORE.scores * 3 + 7)), BEFORE, ABNORMAL)
    assert found.correlation == pytest.approx(1.0)
    assert found.auroc == found.auroc_before


@pytest.mark.parametrize(
    ("precision", "correlation", "accepted"),
    [
        *[("fp16", 0.999, True), ("fp16", 0.9989, False)],
        *[("bf16", 0.999, True), ("bf16", 0.9989, False)],
        *[("int8", 0.99, True), ("int8", 0.9899, False)],
    ],
)
def test_the_least_correlation(precision, correlation, accepted):
    against = objections(replace(GOOD, correlation=correlation), precision)
    assert bool(against) is not accepted


@pytest.mark.parametrize(("drop", "accepted"), [(-0.1, True), (0.005, True), (0.0051, False)])
def test_the_largest_drop_of_auroc(drop, accepted):
    against = objections(replace(GOOD, auroc=GOOD.auroc_before - drop), "int8")
    assert bool(against) is not accepted


def test_each_objection_says_its_number_and_its_limit():
    found = replace(GOOD, correlation=0.5, auroc=0.8)
    assert objections(found, "int8") == [
        "correlation 0.5000, at least 0.99 is asked",
        "AUROC drops by 0.1020, at most 0.005 is allowed",
    ]


@pytest.mark.parametrize("scores", [(1.0, np.nan, 2.0, 3.0), (1.0, np.inf, 2.0, 3.0)])
def test_what_overflows_is_never_accepted(scores):
    assert len(objections(compared(scored(*scores), BEFORE, ABNORMAL), "int8")) == 2


def test_scores_that_are_all_the_same_are_never_accepted():
    assert objections(compared(scored(1.0, 1.0, 1.0, 1.0), BEFORE, ABNORMAL), "int8")


@pytest.mark.parametrize(("abnormal", "lacking"), [(True, "normal"), (False, "abnormal")])
def test_without_both_kinds_there_is_no_auroc(abnormal, lacking):
    with pytest.raises(CalibrationError, match=f"no validation scan is {lacking}"):
        compared(BEFORE, BEFORE, np.full(4, abnormal))
