"""Distances between counted populations, against SciPy on the numbers themselves."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from infer import shift
from infer.population import population_of, reference_of

ROUGH = st.integers(0, 12).map(float)  # many are equal
FINE = st.floats(-1e3, 1e3)


def counts(normals, scans):
    reference = reference_of(normals)
    return reference.mass, population_of(scans, reference).cells


@given(
    normals=st.lists(ROUGH | FINE, min_size=1, max_size=40),
    scans=st.lists(ROUGH | FINE, min_size=1, max_size=40),
)
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore:ks_2samp")  # of p near 1, which is no count there
def test_statistic_and_p_are_those_of_the_numbers(normals, scans):
    expected = stats.ks_2samp(normals, scans, method="exact")
    counted = counts(normals, scans)
    assert shift.ks_statistic(*counted) == pytest.approx(expected.statistic, abs=1e-12)
    assert shift.ks_p_value(*counted) == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize("distance", [0.0, 0.3])
def test_of_many_scans_p_is_about_that_of_the_numbers(distance):
    rng = np.random.default_rng(0)
    normals, scans = rng.normal(size=60), rng.normal(distance, size=4000)
    expected = stats.ks_2samp(normals, scans, method="exact").pvalue
    # The limit instead of the count: within a fifth of p is near enough for any verdict.
    assert shift.ks_p_value(*counts(normals, scans)) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(("normals", "scans"), [(20, 5), (3, 2), (100, 3)])
def test_no_p_is_smaller_than_that_of_scans_beyond_all_normals(normals, scans):
    beyond = counts(np.arange(normals), 1000 + np.arange(scans))
    smallest = shift.smallest_p_value(normals=normals, scans=scans)
    assert shift.ks_p_value(*beyond) == pytest.approx(smallest, rel=1e-9)


def test_of_very_many_the_smallest_p_is_none():
    assert shift.smallest_p_value(normals=1000, scans=10**6) == 0


def test_the_stability_index_is_that_of_its_formula():
    # 10 normals and 20 scans make two bins of 5 normals; 2 of 20 scans lie in the first.
    index = shift.stability_index(*counts(range(10), [1.5] * 2 + [7.5] * 18))
    p, q = (18 + 0.5) / 21, 0.5
    expected = (p - q) * math.log(p / q) + ((1 - p) - q) * math.log((1 - p) / q)
    assert index == pytest.approx(expected)


@pytest.mark.parametrize(("normals", "scans"), [(20, 20), (50, 50), (100, 30)])
def test_the_index_of_scans_like_the_normals_is_on_average_that_of_chance(normals, scans):
    rng = np.random.default_rng(0)
    drawn = [counts(rng.normal(size=normals), rng.normal(size=scans)) for _ in range(1500)]
    mean = np.mean([shift.stability_index(*each) for each in drawn])
    chance = shift.stability_index_by_chance(drawn[0][0], scans)
    # A χ² is its limit, and half a scan in each bin pulls it down: within a quarter.
    assert mean == pytest.approx(chance, rel=0.25)


def test_where_all_normals_are_equal_what_lies_beyond_them_counts():
    normals = [1.0] * 20
    same = shift.stability_index(*counts(normals, [1.0] * 20))
    other = shift.stability_index(*counts(normals, [2.0] * 20))
    assert same == pytest.approx(0)
    assert other > 3


@given(
    normals=st.lists(ROUGH, min_size=1, max_size=20), scans=st.lists(ROUGH, min_size=1, max_size=20)
)
def test_superiority_is_the_share_of_all_pairs(normals, scans):
    pairs = [(scan > it) + (scan == it) / 2 for scan in scans for it in normals]
    assert shift.superiority(*counts(normals, scans)) == pytest.approx(np.mean(pairs))
