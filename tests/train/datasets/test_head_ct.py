import cv2
import numpy as np
import pytest

from train.datasets.case import BadDatasetError
from train.datasets.head_ct import HeadCtOptions, head_ct_cases

OPTIONS = HeadCtOptions(near_duplicates_above=0.95)


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw" / "images").mkdir(parents=True)
    (tmp_path / "raw" / "labels.csv").write_text("id, hemorrhage\n0,1\n1,1\n2,0\n")
    for number, seed in enumerate([0, 0, 1]):  # slices 0 and 1 are the same picture
        picture = np.random.default_rng(seed).integers(0, 255, (40, 40), np.uint8)
        cv2.imwrite(str(tmp_path / "raw" / "images" / f"{number:03}.png"), picture)
    return (tmp_path / "raw").relative_to(tmp_path)


def test_labels_say_which_slices_are_normal(source):
    cases = head_ct_cases(source, OPTIONS, source / "unused")
    assert {case.scan.as_posix(): case.normal for case in cases} == {
        "raw/images/000.png": False,
        "raw/images/001.png": False,
        "raw/images/002.png": True,
    }


def test_near_duplicates_share_a_group(source):
    assert [case.group for case in head_ct_cases(source, OPTIONS, source)] == ["000", "000", "002"]


def test_missing_data_says_what_to_get_and_where_to_put_it(tmp_path):
    with pytest.raises(BadDatasetError, match=r"labels\.csv does not exist") as caught:
        head_ct_cases(tmp_path / "data", OPTIONS, tmp_path)
    assert "felipekitamura/head-ct-hemorrhage" in caught.value.hint
    assert str(tmp_path / "data") in caught.value.hint


def test_a_missing_picture_is_named(source):
    (source / "images" / "001.png").unlink()
    with pytest.raises(BadDatasetError, match=r"001\.png does not exist"):
        head_ct_cases(source, OPTIONS, source)


def test_a_label_that_is_neither_0_nor_1_is_refused_with_its_line(source):
    (source / "labels.csv").write_text("id, hemorrhage\n0,1\n1,yes\n")
    with pytest.raises(BadDatasetError, match="line 3"):
        head_ct_cases(source, OPTIONS, source)


def test_a_slice_that_is_named_twice_is_refused(source):
    (source / "labels.csv").write_text("id, hemorrhage\n0,1\n1,1\n1,0\n")
    with pytest.raises(BadDatasetError, match="line 4, names slice 1 again"):
        head_ct_cases(source, OPTIONS, source)
