"""slices.csv: a line per slice, in order, whatever the scans are called."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.slices_csv import PROFILE, ScanLines, SliceTable, profile, slice_lines

SCORES = np.array([0.5, 2, 1 / 3], np.float32)
PARTS = {"mean": np.array([1, 2, 3], np.float32), "area": np.array([4, 5, 6], np.float32)}


def read_back(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as table:
        return list(csv.DictReader(table))


def test_each_part_is_a_column_of_its_own_by_name(tmp_path):
    table = SliceTable(tmp_path / "slices.csv", ["mean", "area"])
    table.start([ScanLines("a.nii", slice_lines(range(3), SCORES, PARTS))])
    assert read_back(tmp_path / "slices.csv") == [
        {"scan": "a.nii", "slice": "0", "score": "0.5", "score_area": "4", "score_mean": "1"},
        {"scan": "a.nii", "slice": "1", "score": "2", "score_area": "5", "score_mean": "2"},
        {"scan": "a.nii", "slice": "2", "score": "0.333333", "score_area": "6", "score_mean": "3"},
    ]


def test_a_file_that_runs_the_other_way_is_told_in_its_own_order():
    lines = slice_lines(range(3)[::-1], SCORES, {}).splitlines()
    assert lines == ["0,0.333333", "1,2", "2,0.5"]


def test_a_run_without_scans_has_its_columns(tmp_path):
    SliceTable(tmp_path / "slices.csv", []).start([])
    assert (tmp_path / "slices.csv").read_text() == "scan,slice,score\n"


def test_scans_are_appended_as_they_come_and_sorted_in_the_end(tmp_path):
    path = tmp_path / "slices.csv"
    table = SliceTable(path, [])
    table.start([ScanLines("m", "0,1\n"), ScanLines("c", "0,2\n1,2\n")])
    assert [row["scan"] for row in read_back(path)] == ["c", "c", "m"]
    table.add([ScanLines("z", "0,3\n"), ScanLines("a", "0,4\n1,5\n")])
    table.add([ScanLines("b", "0,6\n")])
    assert [row["scan"] for row in read_back(path)] == ["c", "c", "m", "z", "a", "a", "b"]
    expected = [("a", "4"), ("a", "5"), ("b", "6"), ("c", "2"), ("c", "2"), ("m", "1"), ("z", "3")]
    for _ in range(2):  # sorting what is sorted changes nothing
        table.sort()
        assert [(row["scan"], row["score"]) for row in read_back(path)] == expected
    table.add([ScanLines("aa", "0,7\n")])
    table.sort()
    assert [row["score"] for row in read_back(path) if row["scan"] == "aa"] == ["7"]


@given(scan=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_file_name_survives(tmp_path_factory, scan):
    path = tmp_path_factory.mktemp("slices") / "slices.csv"
    name = scan.encode(errors="surrogatepass").decode(errors="surrogateescape")
    SliceTable(path, []).start([ScanLines(name, "0,1\n1,2\n")])
    assert [(row["scan"], row["slice"]) for row in read_back(path)] == [(name, "0"), (name, "1")]


@pytest.mark.parametrize("value", [1e-20, -3.5, 123456789.0, float("inf")])
def test_numbers_keep_six_digits(value):
    (line,) = slice_lines([0], np.array([value], np.float32), {}).splitlines()
    assert float(line.split(",")[1]) == pytest.approx(np.float32(value), rel=1e-5)


@pytest.mark.parametrize("count", [2, PROFILE - 1, PROFILE, PROFILE + 1, 1000])
def test_a_profile_is_short_and_never_loses_the_highest_slice(count):
    scores = np.random.default_rng(count).random(count).astype(np.float32)
    drawn = [float(text) for text in profile(slice_lines(range(count), scores, {})).split()]
    assert len(drawn) == min(count, PROFILE)
    assert max(drawn) == pytest.approx(scores.max(), rel=1e-2)
    assert np.argmax(drawn) == pytest.approx(np.argmax(scores) * len(drawn) / count, abs=1)


def test_a_picture_has_no_profile():
    assert profile("0,1\n") == ""
