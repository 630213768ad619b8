from pathlib import Path

import pytest

from train.datasets.case import BadDatasetError
from train.datasets.healthy_t1 import HealthyT1Options, healthy_t1_cases


@pytest.fixture
def source(tmp_path):
    (tmp_path / "images").mkdir()
    for at in (1, 2, 3):
        (tmp_path / f"images/scan-{at}.nii.gz").touch()
    return tmp_path


def _cases(source, *lines, header="scan,patient"):
    (source / "scans.csv").write_text("\n".join([header, *lines]))
    return healthy_t1_cases(source, HealthyT1Options(), Path("unused"))


def test_scans_of_one_child_share_a_group_and_all_are_normal(source):
    cases = _cases(
        source, "images/scan-1.nii.gz,anna", "images/scan-2.nii.gz,ben", "images/scan-3.nii.gz,anna"
    )
    assert [(case.scan.name[:6], case.group) for case in cases] == [
        ("scan-1", "anna"),
        ("scan-2", "ben"),
        ("scan-3", "anna"),
    ]
    assert all(case.normal for case in cases)


def test_without_its_table_the_layout_is_explained(tmp_path):
    with pytest.raises(BadDatasetError, match=r"scans\.csv does not exist") as caught:
        healthy_t1_cases(tmp_path, HealthyT1Options(), Path("unused"))
    assert "scan,patient" in caught.value.hint


@pytest.mark.parametrize(
    ("header", "lines", "complaint"),
    [
        ("scan,child", ["images/scan-1.nii.gz,anna"], "lacks the column patient"),
        ("scan,patient", [], "names no scans"),
        ("scan,patient", ["images/scan-9.nii.gz,anna"], "line 2: .*scan-9.nii.gz does not exist"),
        ("scan,patient", ["images/scan-1.nii.gz,"], "line 2, lacks a scan or its patient"),
    ],
)
def test_a_table_that_is_wrong_is_named(source, header, lines, complaint):
    with pytest.raises(BadDatasetError, match=complaint):
        _cases(source, *lines, header=header)
