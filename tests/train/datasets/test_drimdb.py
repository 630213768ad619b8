from pathlib import Path

import pytest

from train.datasets.case import BadDatasetError
from train.datasets.drimdb import DrimdbOptions, drimdb_cases


def _cases(source, outliers="leave_out", folders=("Good", "Bad", "Outlier")):
    for name in folders:
        (source / name).mkdir()
        (source / name / "drimdb (1).jpg").touch()
    return drimdb_cases(source, DrimdbOptions(outliers=outliers), Path("unused"))


def test_good_is_normal_bad_is_abnormal_and_outliers_are_left_out(tmp_path):
    cases = _cases(tmp_path)
    assert [(case.scan.parent.name, case.normal, case.kind) for case in cases] == [
        ("Good", True, ""),
        ("Bad", False, "bad"),
    ]


def test_outliers_are_abnormal_where_asked_for(tmp_path):
    last = _cases(tmp_path, "abnormal")[-1]
    assert (last.scan.parent.name, last.normal, last.kind) == ("Outlier", False, "outlier")


def test_pictures_of_one_name_in_two_classes_are_two_groups(tmp_path):
    assert len({case.group for case in _cases(tmp_path)}) == 2


@pytest.mark.parametrize("missing", ["Good", "Bad"])
def test_a_missing_class_says_which_folders_are_expected(tmp_path, missing):
    with pytest.raises(BadDatasetError, match=f"{missing} does not exist") as caught:
        _cases(tmp_path, folders=[it for it in ("Good", "Bad") if it != missing])
    assert "Good, Bad and Outlier" in caught.value.hint


def test_an_empty_class_is_refused(tmp_path):
    (tmp_path / "Good").mkdir()
    with pytest.raises(BadDatasetError, match="holds no pictures"):
        _cases(tmp_path, folders=[])
