import cv2
import numpy as np
import pytest

from infer.readers import read
from infer.writers.phantoms import write_nifti
from tests.train.datasets.planting_ground import head
from train.datasets.case import BadDatasetError
from train.datasets.planted_file import as_stored, encode_mask, encode_scan, ending_of


def _write(path, kind):
    """A scan of one kind, of values that its file holds exactly."""
    rng = np.random.default_rng(0)
    if kind == "nifti":
        write_nifti(path / "scan.nii.gz", head().astype(np.int16), (3.0, 1.0, 1.2))
        return path / "scan.nii.gz"
    if kind == "array":
        np.save(path / "scan.npy", head())
        return path / "scan.npy"
    depth = np.uint16 if kind == "16 bits" else np.uint8
    shape = (40, 30, 3) if kind == "colour" else (40, 30)
    picture = rng.integers(0, np.iinfo(depth).max, shape, depth, endpoint=True)
    name = "scan.bmp" if depth == np.uint8 else "scan.png"
    assert cv2.imwrite(str(path / name), picture)
    return path / name


KINDS = ["nifti", "array", "8 bits", "16 bits", "colour"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unchanged_scan_comes_back_bit_for_bit_on_its_own_grid(kind, tmp_path):
    volume = read(_write(tmp_path, kind))
    written = tmp_path / f"copy{ending_of(volume)}"
    written.write_bytes(encode_scan(volume.voxels, volume))
    back = read(written)
    np.testing.assert_array_equal(back.voxels, volume.voxels)
    assert (back.unit, back.spacing_mm) == (volume.unit, volume.spacing_mm)
    assert (back.grid.shape, back.grid.axes) == (volume.grid.shape, volume.grid.axes)
    if kind == "nifti":
        affines = [it.grid.header.get_best_affine() for it in (back, volume)]
        np.testing.assert_array_equal(*affines)


@pytest.mark.parametrize("kind", KINDS)
def test_other_values_come_back_as_was_said(kind, tmp_path):
    volume = read(_write(tmp_path, kind))
    stored = as_stored(volume.voxels * np.float32(0.777), volume)
    written = tmp_path / f"copy{ending_of(volume)}"
    written.write_bytes(encode_scan(stored, volume))
    np.testing.assert_array_equal(read(written).voxels, stored)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_lies_over_its_scan(kind, tmp_path):
    volume = read(_write(tmp_path, kind))
    mask = np.random.default_rng(1).random(volume.voxels.shape[1:]) > 0.5
    written = tmp_path / f"mask{ending_of(volume)}"
    written.write_bytes(encode_mask(mask, volume))
    back = read(written)
    np.testing.assert_array_equal(back.voxels[0] != 0, mask)
    assert back.spacing_mm == volume.spacing_mm


def test_a_stack_of_pictures_is_refused_with_what_to_do(tmp_path):
    pages = list(np.random.default_rng(0).integers(0, 255, (3, 20, 20), np.uint8))
    assert cv2.imwritemulti(str(tmp_path / "stack.tif"), pages)
    with pytest.raises(BadDatasetError, match="is a stack of pictures") as caught:
        ending_of(read(tmp_path / "stack.tif"))
    assert "NIfTI" in caught.value.hint
