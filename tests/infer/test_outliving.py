"""A scan over which a process dies becomes a failed row; its neighbours lose nothing."""

from pathlib import Path

from infer.executors.processes import WorkerLost
from infer.outliving import outliving
from infer.report_csv import Row
from infer.worker import Task


def task(scan):
    return Task(scan, Path(scan), mask="", overlay="", map="")


def deadly_for(*deadly):
    """Scoring whose process dies over these scans, and what it was asked for."""
    asked = []

    def score(chunk):
        asked.append([each.scan for each in chunk])
        if any(each.scan in deadly for each in chunk):
            raise WorkerLost("its process was ended by SIGSEGV")
        return [Row(scan=each.scan, status="ok") for each in chunk]

    return score, asked


def scored(chunk, *deadly):
    score, asked = deadly_for(*deadly)
    return outliving(score)([task(scan) for scan in chunk]), asked


def test_as_long_as_nothing_dies_nothing_is_scored_twice():
    rows, asked = scored("abc")
    assert [row.status for row in rows] == ["ok"] * 3
    assert asked == [["a", "b", "c"]]


def test_the_scan_that_kills_is_found_and_its_neighbours_are_scored():
    rows, _ = scored("abcd", "c")
    assert [(row.scan, row.status) for row in rows] == [
        ("a", "ok"),
        ("b", "ok"),
        ("c", "failed"),
        ("d", "ok"),
    ]


def test_its_row_says_what_happened_and_what_it_may_be():
    (row,), _ = scored("a", "a")
    assert row.error == (
        "its process was ended by SIGSEGV (is the file damaged? is there enough memory for it?)"
    )


def test_a_single_scan_is_not_tried_again():
    _, asked = scored("a", "a")
    assert asked == [["a"]]
