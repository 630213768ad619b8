"""When a number of a run has shifted: far from the normals, and not by chance."""

import json

import numpy as np
import pytest

from infer.compared import (
    FALSE_ALARMS,
    LEAST_SCANS,
    Compared,
    compared_from,
    judge,
    record_of,
)
from infer.population import population_of, reference_of

LOOKS = 9


def compared(normals, scans, *, tolerance=1.0):
    reference = reference_of(np.asarray(normals))
    scans = population_of(np.asarray(scans), reference, tolerance=tolerance)
    return Compared.with_(reference) + scans


def verdict(normals, scans, *, axis="intensity"):
    tolerance = 1.1 if axis == "geometry" else 1.0
    return judge(compared(normals, scans, tolerance=tolerance), axis, looks=LOOKS).verdict


def drawn(seed, count, middle=0.0, spread=1.0):
    return np.random.default_rng(seed).normal(middle, spread, count)


@pytest.mark.parametrize("scans", [5, 20, 100, 3000])
@pytest.mark.parametrize("normals", [20, 25, 100])
def test_five_standard_deviations_are_a_shift(normals, scans):
    assert verdict(drawn(0, normals), drawn(1, scans, 5.0)) == "shifted"


def test_a_spread_five_times_as_wide_is_a_shift():
    assert verdict(drawn(0, 100), drawn(1, 100, 0.0, 5.0)) == "shifted"


def test_a_difference_that_only_many_scans_can_show_is_none():
    normals, scans = drawn(0, 900), drawn(1, 900, 0.3)
    judged = judge(compared(normals, scans), "intensity", looks=1)
    assert judged.verdict == "as expected"
    assert judged.p is None  # it was not asked: the difference is small


@pytest.mark.parametrize(("normals", "scans"), [(25, 5), (25, 10), (50, 50)])
def test_scans_like_the_normals_are_said_to_have_shifted_as_seldom_as_promised(normals, scans):
    runs = [verdict(drawn(at, normals), drawn(10_000 + at, scans)) for at in range(2000)]
    # One look of nine, of which one in a thousand may err: even one in 2,000 is unlikely (0.2).
    assert runs.count("shifted") <= 1


@pytest.mark.parametrize(
    ("normals", "scans"),
    [(20, LEAST_SCANS - 1), (5, 5), (1, 1000)],
    ids=["scans", "both", "normals"],
)
def test_of_too_few_nothing_is_said(normals, scans):
    assert verdict(np.zeros(normals), np.full(scans, 99.0)) == "too few scans"


def test_without_a_scan_nothing_is_said():
    assert verdict([1.0] * 30, []) == "too few scans"


def test_the_least_number_of_scans_is_where_a_total_shift_is_rare_enough():
    judged = judge(compared(np.arange(20.0), [99.0] * LEAST_SCANS), "intensity", looks=LOOKS)
    assert judged.p < FALSE_ALARMS


class TestGeometry:
    """Scans of one device are not those of all devices, and need not be."""

    def test_voxels_that_no_normal_had_are_a_shift(self):
        assert verdict([1.0] * 30, [2.5] * 10, axis="geometry") == "shifted"

    def test_voxels_of_unknown_size_are_a_shift_where_all_normals_had_one(self):
        assert verdict([1.0] * 30, [0.0] * 10, axis="geometry") == "shifted"

    def test_a_few_hundredths_are_none(self):
        assert verdict([1.0] * 30, [1.03] * 100, axis="geometry") == "as expected"

    def test_one_of_several_known_sizes_is_none(self):
        normals = [0.5] * 10 + [1.0] * 10 + [3.0] * 10
        assert verdict(normals, [3.0] * 100, axis="geometry") == "as expected"


@pytest.mark.parametrize("scans", [[], [0.0, 1.0, 1.5, 7.25]])
def test_a_record_gives_it_back(scans):
    whole = compared([1.0, 2.0, 2.0, 5.0], scans)
    record = json.loads(json.dumps(record_of(whole, judge(whole, "score", looks=1))))
    again = compared_from(record)
    assert again.normals.tolist() == whole.normals.tolist()
    assert again.normals_range == whole.normals_range == (1.0, 2.0, 5.0)
    assert again.scans.cells.tolist() == whole.scans.cells.tolist()
    assert again.scans.total == pytest.approx(whole.scans.total)
    assert (again.scans.lowest, again.scans.highest) == (whole.scans.lowest, whole.scans.highest)


@pytest.mark.parametrize("cells", ["", "1 2", "-1 0 0 0 0 0 0", "many"])
def test_a_record_of_something_else_is_refused(cells):
    whole = compared([1.0, 2.0, 5.0], [3.0])
    record = record_of(whole, judge(whole, "score", looks=1))
    record["scans"]["cells"] = cells
    with pytest.raises(ValueError, match=r"."):
        compared_from(record)
