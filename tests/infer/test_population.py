"""Scans counted between normals: exactly, in any order, and in any number of pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.population import population_of, reference_of

NUMBERS = st.lists(st.integers(-5, 5).map(float), max_size=30)
NORMALS = st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=30)


def test_cells_count_below_on_and_between_the_normals():
    reference = reference_of([3.0, 1.0, 3.0])
    assert reference.values.tolist() == [1.0, 3.0]
    assert reference.mass.tolist() == [1, 2]
    population = population_of([0.0, 1.0, 2.0, 2.5, 3.0, 9.0, 9.5], reference)
    assert population.cells.tolist() == [1, 1, 2, 1, 2]


@given(normals=NORMALS, first=NUMBERS, second=NUMBERS)
def test_populations_add_up(normals, first, second):
    reference = reference_of(normals)
    apart = population_of(first, reference) + population_of(second, reference)
    together = population_of(first + second, reference)
    assert apart.cells.tolist() == together.cells.tolist()
    assert (apart.outside, apart.lowest, apart.highest, apart.total) == (
        (together.outside, together.lowest, together.highest, together.total)
    )


@given(normals=NORMALS)
def test_the_median_is_one_of_the_normals(normals):
    assert reference_of(normals).median == sorted(normals)[len(normals) // 2]


@pytest.mark.parametrize(("spacing_mm", "outside"), [(1.05, 0), (0.95, 0), (1.2, 1), (0.5, 1)])
def test_what_is_within_the_tolerance_is_not_outside(spacing_mm, outside):
    assert population_of([spacing_mm], reference_of([1.0]), tolerance=1.1).outside == outside


def test_what_is_kept_does_not_grow_with_the_scans():
    reference = reference_of(np.arange(20))
    many = population_of(np.linspace(-5, 25, 10_000), reference)
    assert many.count == 10_000
    assert many.cells.size == 2 * 20 + 1
