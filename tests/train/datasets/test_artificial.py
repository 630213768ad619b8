"""The dataset `artificial`, on NIfTI heads and pictures that a user brings as a folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from infer.readers import read
from infer.writers.phantoms import write_nifti
from tests.train.datasets.planting_ground import CONFIG, head
from train.data import SplitCase
from train.datasets.artificial import ArtificialOptions
from train.datasets.case import BadDatasetError
from train.datasets.catalog import dataset
from train.params import BadParamsError, build

OUT = Path("data/study/scans")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _options(*, of="folder", **planting):
    asked = {**CONFIG, "per_scan": 3, **planting}
    values = {"of": of, "options": {}, "planting": asked}
    return build(ArtificialOptions, values, where="data.options")


def _heads(*names):
    Path("mine/abnormal").mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        path = Path("mine/normal", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_nifti(path, head(seed).astype(np.int16), (3.0, 1.0, 1.2))


def _planted(sides, options=None, out=OUT):
    """Every case, the healthy ones on these sides by the name of their file."""
    options = options or _options()
    chosen = dataset("artificial")
    cases = chosen.cases(Path("mine"), options, out)
    divided = [SplitCase(case=it, split=sides.get(it.scan.name, "train")) for it in cases]
    return divided, chosen.dealt(divided, options, out)


def test_scans_whose_copies_would_be_one_file_are_refused():
    _heads("bob/b.nii.gz", "bob/b.nii", "kim/c.nii.gz")
    with pytest.raises(BadDatasetError, match="differ in their ending only"):
        _planted({"b.nii.gz": "validation", "b.nii": "validation"})


def test_healthy_scans_stay_in_and_only_those_that_validate_or_test_are_planted():
    _heads("eve/a.nii.gz", "bob/b.nii.gz", "kim/c.nii.gz")
    divided, found = _planted({"b.nii.gz": "validation", "c.nii.gz": "test"})
    assert found[: len(divided)] == divided
    copies = found[len(divided) :]
    assert [(it.split, it.case.group) for it in copies] == [
        *[("validation", "bob")] * 3,
        *[("test", "kim")] * 3,
    ]
    assert not any(it.case.normal for it in copies)


def test_a_copy_says_its_kind_and_size_and_its_mask_is_where_its_file_differs():
    _heads("a.nii.gz")
    divided, found = _planted({"a.nii.gz": "test"})
    healthy = read(divided[0].case.scan)
    kinds = set()
    for it in found[1:]:
        copy, mask = read(it.case.scan), read(it.case.mask).voxels != 0
        np.testing.assert_array_equal((copy.voxels != healthy.voxels), mask)
        assert mask.any()
        assert copy.spacing_mm == healthy.spacing_mm
        affines = [scan.grid.header.get_best_affine() for scan in (copy, healthy)]
        np.testing.assert_array_equal(*affines)
        assert it.case.kind in it.case.scan.name
        assert 4.0 <= it.case.size_mm <= 9.0
        kinds.add(it.case.kind)
    assert len(kinds) == 3


def test_what_is_planted_into_a_scan_depends_on_no_other_scan():
    _heads("a.nii.gz", "b.nii.gz", "c.nii.gz")
    _, company = _planted({"a.nii.gz": "test", "b.nii.gz": "test"})
    _, alone = _planted({"b.nii.gz": "validation"}, out=Path("other/scans"))
    content = {
        it.case.scan.name: (it.case.scan.read_bytes(), it.case.mask.read_bytes())
        for it in company
        if it.case.mask and it.case.scan.name.startswith("b")
    }
    assert len(content) == 3
    assert content == {
        it.case.scan.name: (it.case.scan.read_bytes(), it.case.mask.read_bytes())
        for it in alone
        if it.case.mask
    }


def test_scans_of_one_name_in_two_folders_do_not_overwrite_each_other():
    _heads("eve/1.nii.gz", "bob/1.nii.gz")
    _, found = _planted({"1.nii.gz": "test"})
    assert len({it.case.scan for it in found}) == len(found) == 8


def test_pictures_are_planted_too_in_pixels():
    Path("mine/normal").mkdir(parents=True)
    Path("mine/abnormal").mkdir()
    picture = (head(shape=(64, 56), spacing_mm=(1.0, 1.2)) / 4).astype(np.uint8)
    assert cv2.imwrite("mine/normal/a.png", picture)
    _, found = _planted({"a.png": "test"})
    assert len(found) == 4
    before = read(Path("mine/normal/a.png")).voxels
    for it in found[1:]:
        mask = read(it.case.mask).voxels != 0
        np.testing.assert_array_equal(read(it.case.scan).voxels != before, mask)


def test_pictures_of_unknown_pixels_are_refused_by_name():
    Path("mine/normal").mkdir(parents=True)
    Path("mine/abnormal").mkdir()
    assert cv2.imwrite("mine/normal/a.png", np.zeros((40, 40), np.uint8))
    with pytest.raises(BadDatasetError, match=r"a\.png does not say how large") as caught:
        _planted({"a.png": "test"}, _options(pixel_mm=None))
    assert "pixel_mm" in caught.value.hint


def test_a_scan_without_room_is_said_and_stays_in_as_healthy(capsys):
    _heads("a.nii.gz", "b.nii.gz")
    divided, found = _planted({"a.nii.gz": "test"}, _options(radii_mm=[50.0, 60.0], per_scan=1))
    assert found == divided
    errors = capsys.readouterr().err
    assert errors.count("skipped: mine/normal/a.nii.gz has no room for") == 1
    assert "b.nii.gz" not in errors


def test_a_scan_that_cannot_be_read_is_said(capsys):
    _heads("a.nii.gz")
    Path("mine/normal/a.nii.gz").write_bytes(b"no scan")
    divided, found = _planted({"a.nii.gz": "test"})
    assert found == divided
    assert "nothing is planted into mine/normal/a.nii.gz" in capsys.readouterr().err


def test_abnormal_scans_are_left_out_and_where_all_are_it_is_said():
    _heads("a.nii.gz")
    Path("mine/normal/a.nii.gz").rename("mine/abnormal/a.nii.gz")
    with pytest.raises(BadDatasetError, match="no normal scan"):
        _planted({})
    _heads("b.nii.gz")
    divided, _ = _planted({})
    assert [it.case.scan.name for it in divided] == ["b.nii.gz"]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"of": "artificial"}, "of must be a data set of scans"),
        ({"contrast": [1.0, 3.0]}, "contrast must be a range above 0 and up to 2.0"),
        ({"radius_mm": [1.0, 3.0]}, "planting.radius_mm is unknown"),
    ],
)
def test_wrong_options_are_refused_in_words(wrong, complaint):
    with pytest.raises(BadParamsError, match=complaint):
        _options(**wrong)
