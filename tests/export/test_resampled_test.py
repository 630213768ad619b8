"""The corrected resampled t-test, against a case computed by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from export import resampled_test

FIRST, SECOND = [0.9, 0.8, 0.7, 0.8], [0.8, 0.8, 0.6, 0.6]


def test_a_case_computed_by_hand():
    # Differences 0.1, 0, 0.1, 0.2: mean 0.1, variance 0.02 / 3; (1/4 + 1/2) · 0.02 / 3 = 0.005.
    found = resampled_test.corrected_t_test(FIRST, SECOND, test_to_train=0.5)
    assert found.difference == pytest.approx(0.1)
    assert found.t == pytest.approx(0.1 / math.sqrt(0.005))
    assert found.p == pytest.approx(2 * stats.t.sf(math.sqrt(2), 3))


def test_without_the_correction_it_is_the_paired_t_test():
    found = resampled_test.corrected_t_test(FIRST, SECOND, test_to_train=0.0)
    plain = stats.ttest_rel(FIRST, SECOND)
    assert (found.t, found.p) == (pytest.approx(plain.statistic), pytest.approx(plain.pvalue))


def test_the_correction_makes_differences_less_surprising():
    found = [
        resampled_test.corrected_t_test(FIRST, SECOND, test_to_train=ratio).p
        for ratio in (0.0, 0.5, 1.0)
    ]
    assert found == sorted(found)


def test_equal_methods_do_not_differ():
    assert resampled_test.corrected_t_test(FIRST, FIRST, test_to_train=0.5) == (0.0, 0.0, 1.0)


def test_a_difference_without_any_variance_is_certain():
    found = resampled_test.corrected_t_test([1.0, 1.0], [0.0, 0.0], test_to_train=0.5)
    assert np.isinf(found.t)
    assert found.p == 0


@pytest.mark.parametrize("second", [[0.1, 0.2], [0.1]])
def test_results_must_be_paired_and_more_than_one(second):
    with pytest.raises(ValueError, match="pairs"):
        resampled_test.corrected_t_test([0.1], second, test_to_train=0.5)
