"""Slice scores → scan score → percentile of normal."""

import numpy as np
import pytest

from infer.scoring import Aggregation, normal_percentile, scan_score


def test_the_single_highest_slice_always_counts():
    scores = np.array([3, 9, 1], np.float32)
    assert scan_score(scores, Aggregation(top_share=1e-9)) == 9


def test_a_share_of_one_is_the_mean():
    scores = np.random.default_rng(0).random(11, np.float32)
    assert scan_score(scores, Aggregation(top_share=1)) == pytest.approx(scores.mean())


def test_the_order_of_slices_does_not_matter():
    scores = np.random.default_rng(0).random(50, np.float32)
    some = Aggregation(top_share=0.1)
    assert scan_score(scores[::-1].copy(), some) == scan_score(scores, some)
    assert scan_score(scores, some) == pytest.approx(np.sort(scores)[-5:].mean())


@pytest.mark.parametrize(
    ("score", "percentile"), [(0, 0), (1, 12.5), (2.5, 50), (4, 87.5), (5, 100)]
)
def test_the_percentile_counts_normals_below_and_half_of_the_equal_ones(score, percentile):
    assert normal_percentile(score, (1.0, 2.0, 3.0, 4.0)) == percentile


def test_without_normals_there_is_no_percentile():
    assert np.isnan(normal_percentile(1.0, ()))


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_share_outside_of_0_to_1_is_refused(share):
    with pytest.raises(ValueError, match="top_share"):
        Aggregation(top_share=share)
