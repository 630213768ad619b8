"""What a user's mask is taken for, and what is refused since it could be taken for another."""

import cv2
import nibabel
import numpy as np
import pytest

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.readers.choice import seen_along
from train.datasets.case import Case
from train.truth import truth, truth_of

AXIAL = seen_along("axial")
SIDE = 20  # of a cube: whichever way its axes run, its sizes agree
HERE = (slice(2, 6), slice(9, 12), slice(4, 9))  # in the file's own order
AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])


def marked(shape=(SIDE, SIDE, SIDE)):
    mask = np.zeros(shape, np.uint8)
    mask[HERE[: mask.ndim]] = 1
    return mask


def write(path, voxels):
    if path.suffix == ".npy":
        np.save(path, voxels)
    elif path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(voxels, AFFINE), path)
    else:
        cv2.imwrite(str(path), voxels)
    return path


@pytest.fixture
def scan(tmp_path):
    return write(tmp_path / "scan.nii.gz", np.full((SIDE, SIDE, SIDE), 7, np.int16))


@pytest.fixture
def picture(tmp_path):
    return write(tmp_path / "scan.png", np.full((SIDE, SIDE), 7, np.uint8))


@pytest.mark.parametrize("value", [1, 4, 255])
def test_a_mask_marks_what_is_not_0_where_the_scan_has_it(scan, tmp_path, value):
    volume = read(scan, AXIAL)
    found = truth(write(tmp_path / "mask.nii.gz", marked() * np.uint8(value)), volume, AXIAL)
    np.testing.assert_array_equal(volume.grid.to_file(found), marked())


@pytest.mark.parametrize(
    "classes",
    [[1 - marked(), marked()], [np.zeros_like(marked()), marked()]],
    ids=["background first", "nothing in the first"],
)
def test_of_a_mask_for_each_class_none_is_taken_for_all(scan, tmp_path, classes):
    mask = write(tmp_path / "mask.nii.gz", np.stack(classes, axis=-1))
    with pytest.raises(UnreadableScanError, match="holds 2 volumes"):
        truth(mask, read(scan, AXIAL), AXIAL)


@pytest.mark.parametrize("depth", [SIDE, 1])
def test_an_array_does_not_say_how_its_axes_run_beside_a_scan_that_does(tmp_path, depth):
    shape = (SIDE, SIDE, depth)
    volume = read(write(tmp_path / "scan.nii.gz", np.full(shape, 7, np.int16)), AXIAL)
    mask = np.zeros(shape, np.uint8)
    mask[2:6, 9:12] = 1
    array = write(tmp_path / "mask.npy", mask if depth > 1 else mask.transpose(2, 0, 1))
    with pytest.raises(UnreadableScanError, match="cannot be laid over it: the mask does not say"):
        truth(array, volume, AXIAL)


def test_an_array_of_a_scan_that_is_one_too_lies_as_it_does(tmp_path):
    volume = read(write(tmp_path / "scan.npy", np.full((SIDE,) * 3, 7, np.int16)), AXIAL)
    found = truth(write(tmp_path / "mask.npy", marked()), volume, AXIAL)
    np.testing.assert_array_equal(found, marked())


def test_a_picture_is_the_mask_of_a_picture(picture, tmp_path):
    shape = (SIDE, SIDE)
    found = truth(write(tmp_path / "mask.png", 255 * marked(shape)), read(picture, AXIAL), AXIAL)
    np.testing.assert_array_equal(found, marked(shape))


def test_a_jpeg_is_no_mask(picture, tmp_path):
    mask = write(tmp_path / "mask.jpg", 255 * marked((SIDE, SIDE)))
    with pytest.raises(UnreadableScanError, match="is a JPEG file, which changes values"):
        truth(mask, read(picture, AXIAL), AXIAL)


def test_what_is_drawn_in_transparency_is_not_taken_for_the_whole_picture(picture, tmp_path):
    drawn = np.full((SIDE, SIDE, 4), 255, np.uint8)
    drawn[..., 3] *= marked((SIDE, SIDE))
    with pytest.raises(UnreadableScanError, match="marks all of it") as refused:
        truth(write(tmp_path / "mask.png", drawn), read(picture, AXIAL), AXIAL)
    assert "transparency" in refused.value.hint


def test_a_normal_scan_may_have_a_mask_that_marks_nothing(scan, tmp_path):
    mask = write(tmp_path / "mask.nii.gz", np.zeros_like(marked()))
    case = Case(scan=scan, group="a", normal=True, mask=mask)
    assert not truth_of(case, read(scan, AXIAL), AXIAL).any()


def test_a_normal_scan_whose_mask_marks_something_is_a_contradiction(scan, tmp_path):
    mask = write(tmp_path / "mask.nii.gz", marked())
    case = Case(scan=scan, group="a", normal=True, mask=mask)
    with pytest.raises(UnreadableScanError, match=f"is normal, but its mask .* {marked().sum()} "):
        truth_of(case, read(scan, AXIAL), AXIAL)


def test_of_an_abnormal_scan_without_a_mask_nothing_is_known(scan):
    case = Case(scan=scan, group="a", normal=False, mask=None)
    assert truth_of(case, read(scan, AXIAL), AXIAL) is None
