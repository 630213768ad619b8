"""Volume ↔ slices."""

from itertools import pairwise

import numpy as np
import pytest

from infer.slicing import (
    WHOLE,
    check_slice_range,
    from_slices,
    index_in_volume,
    looked_at,
    step_axis,
    to_slices,
)

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


@pytest.mark.parametrize("plane", PLANES)
def test_the_whole_range_looks_at_every_slice_of_any_plane(plane):
    assert looked_at(SPATIAL, plane, WHOLE) == range(SPATIAL[step_axis(plane)])


def test_a_slice_is_looked_at_where_its_middle_lies_in_the_range():
    for count in range(1, 40):
        for low, high in ((0.0, 0.3), (0.21, 0.77), (0.5, 1.0)):
            inside = [at for at in range(count) if low <= (at + 0.5) / count < high]
            if inside:
                assert list(looked_at((count, 8, 8), "axial", (low, high))) == inside


def test_neighbouring_ranges_share_no_slice_and_miss_none():
    for count in range(20, 60):
        edges = [0.0, 0.1, 0.25, 0.3, 0.65, 1.0]
        parts = [looked_at((count, 8, 8), "axial", it) for it in pairwise(edges)]
        assert [at for part in parts for at in part] == list(range(count))


def test_a_range_narrower_than_a_slice_still_looks_at_one():
    assert looked_at((4, 8, 8), "axial", (0.9, 0.95)) == range(3, 4)
    assert looked_at((1, 8, 8), "axial", (0.0, 0.1)) == range(1)
    assert looked_at((8, 8), "coronal", (0.9, 0.95)) == range(1)  # a picture


@pytest.mark.parametrize("wrong", [(0.5, 0.5), (0.7, 0.2), (-0.1, 1.0), (0.0, 1.1)])
def test_a_range_that_does_not_rise_within_0_to_1_is_refused(wrong):
    with pytest.raises(ValueError, match="slice_range must rise"):
        check_slice_range(wrong, (32, 32))


def test_of_a_whole_volume_no_part_can_be_asked_for():
    with pytest.raises(ValueError, match="is for models of slices"):
        check_slice_range((0.0, 0.5), (32, 32, 32))
    check_slice_range(WHOLE, (32, 32, 32))
