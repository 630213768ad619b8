"""Volume ↔ slices."""

import numpy as np
import pytest

from infer.slicing import from_slices, index_in_volume, step_axis, to_slices

PLANES = ["axial", "coronal", "sagittal"]
SPATIAL = (3, 4, 5)  # towards S, P, L


@pytest.mark.parametrize("plane", PLANES)
def test_stacking_is_the_inverse_of_cutting(plane):
    voxels = np.arange(60, dtype=np.float32).reshape(1, *SPATIAL)
    slices = to_slices(voxels, plane)
    np.testing.assert_array_equal(from_slices(slices[:, 0], plane, spatial=SPATIAL), voxels[0])
    assert len(slices) == SPATIAL[step_axis(plane)]


@pytest.mark.parametrize("plane", PLANES)
def test_every_pixel_of_a_slice_is_found_again_in_the_volume(plane):
    voxels = np.arange(60, dtype=np.float32).reshape(1, *SPATIAL)
    slices = to_slices(voxels, plane)[:, 0]
    for index in np.ndindex(slices.shape):
        assert voxels[0][index_in_volume(index, plane, spatial=SPATIAL)] == slices[index]


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_the_head_is_up(plane):
    voxels = np.zeros((1, *SPATIAL), np.float32)
    voxels[0, -1] = 1  # the most superior layer
    slices = to_slices(voxels, plane)
    assert (slices[:, :, 0] == 1).all()
    assert (slices[:, :, 1:] == 0).all()


def test_a_picture_is_one_slice_whatever_the_plane():
    picture = np.ones((3, 6, 7), np.float32)
    for plane in PLANES:
        assert to_slices(picture, plane).shape == (1, 3, 6, 7)
    assert from_slices(picture[:1], "coronal", spatial=(6, 7)).shape == (6, 7)
    assert index_in_volume((0, 2, 3), "coronal", spatial=(6, 7)) == (2, 3)
