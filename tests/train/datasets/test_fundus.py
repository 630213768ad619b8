from pathlib import Path

import pytest

from train.datasets.case import BadDatasetError
from train.datasets.fundus import FundusOptions, fundus_cases


def _cases(source, bad=("Bad",), folders=("Good", "Bad", "Outlier")):
    for name in folders:
        (source / name).mkdir()
        (source / name / "drimdb (1).jpg").touch()
    return fundus_cases(source, FundusOptions(good=("Good",), bad=bad), Path("unused"))


def test_good_is_normal_bad_is_abnormal_and_what_is_not_named_is_left_out(tmp_path):
    cases = _cases(tmp_path)
    assert [(case.scan.parent.name, case.normal, case.kind) for case in cases] == [
        ("Good", True, ""),
        ("Bad", False, "bad"),
    ]


def test_further_folders_are_bad_where_they_are_named(tmp_path):
    last = _cases(tmp_path, ("Bad", "Outlier"))[-1]
    assert (last.scan.parent.name, last.normal, last.kind) == ("Outlier", False, "outlier")


def test_pictures_of_one_name_in_two_classes_are_two_groups(tmp_path):
    assert len({case.group for case in _cases(tmp_path)}) == 2


@pytest.mark.parametrize("missing", ["Good", "Bad"])
def test_a_missing_class_says_which_folders_are_expected(tmp_path, missing):
    with pytest.raises(BadDatasetError, match=f"{missing} does not exist") as caught:
        _cases(tmp_path, folders=[it for it in ("Good", "Bad") if it != missing])
    assert "Good, Bad" in caught.value.hint


def test_an_empty_class_is_refused(tmp_path):
    (tmp_path / "Good").mkdir()
    with pytest.raises(BadDatasetError, match="holds no pictures"):
        _cases(tmp_path, folders=[])


@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [((), ("Bad",), "names no folder"), (("A", "B"), ("B",), "B cannot be good and bad")],
)
def test_folders_that_make_no_sense_are_refused(good, bad, said):
    with pytest.raises(ValueError, match=said):
        FundusOptions(good=good, bad=bad)
