"""Slice ↔ image."""

import cv2
import numpy as np
import pytest

from infer.resizing import to_image_size, to_slice_size


@pytest.mark.parametrize("size", [(16, 16), (64, 48), (16, 64)], ids=["less", "more", "mixed"])
def test_a_constant_stays_the_same_constant(size):
    slices = np.full((2, 3, 40, 37), 0.7, np.float32)
    resized = to_image_size(slices, size)
    assert resized.shape == (2, 3, *size)
    np.testing.assert_allclose(resized, 0.7, rtol=1e-6)


def test_shrinking_by_a_whole_factor_is_the_mean_of_each_block():
    slices = np.random.default_rng(0).random((2, 1, 12, 8), np.float32)
    blocks = slices.reshape(2, 1, 4, 3, 2, 4).mean(axis=(3, 5))
    np.testing.assert_allclose(to_image_size(slices, (4, 2)), blocks, rtol=1e-5)


@pytest.mark.parametrize("narrower", [1, 2, 3])
@pytest.mark.parametrize("shorter", range(2, 10))
def test_by_whole_factors_the_bits_are_those_of_opencv_however_a_slice_lies(shorter, narrower):
    """What is prepared is known by its bytes: they must not depend on how a file is stored."""
    values = np.random.default_rng(shorter).uniform(-1000, 3000, (shorter * 31, narrower * 19))
    plane = values.astype(np.float32)
    expected = cv2.resize(plane, (19, 31), interpolation=cv2.INTER_AREA)
    for turned in (plane, np.ascontiguousarray(plane[::-1])[::-1], np.asfortranarray(plane)):
        resized = to_image_size(turned[np.newaxis, np.newaxis], (31, 19))
        np.testing.assert_array_equal(resized[0, 0], expected)


def test_shrinking_one_axis_and_growing_the_other_still_averages_the_shrinking_one():
    slices = np.zeros((1, 1, 4, 64), np.float32)
    slices[..., 1::2] = 1  # stripes finer than the image: linear sampling could see only one kind
    np.testing.assert_allclose(to_image_size(slices, (8, 16)), 0.5, atol=1e-6)


def test_a_map_keeps_its_place_when_it_returns_to_the_slice():
    maps = np.zeros((1, 8, 8), np.float32)
    maps[0, 2, 5] = 1
    centre = np.argwhere(to_slice_size(maps, (80, 40))[0] == to_slice_size(maps, (80, 40)).max())
    np.testing.assert_allclose(centre.mean(axis=0), [24.5, 27], atol=1)


def test_the_right_size_comes_back_unchanged():
    slices = np.random.default_rng(0).random((2, 1, 6, 5), np.float32)
    np.testing.assert_array_equal(to_image_size(slices, (6, 5)), slices)
