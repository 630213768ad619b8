"""Voxel values → network range."""

import numpy as np
import pytest

from infer.intensity import Intensity, rescale, standardise, unstandardise

SPATIAL = [(9, 7), (5, 6, 7)]
BRAIN_WINDOW = Intensity(recipe="window", low=0, high=80, output_low=-1, output_high=1)
PERCENTILE = Intensity(recipe="percentile", low=1, high=99, output_low=0, output_high=1)


def voxels_of(*shape):
    return np.random.default_rng(0).normal(40, 30, shape).astype(np.float32)


def test_a_window_maps_its_ends_to_the_output_range_and_clips_beyond():
    hounsfield = np.array([[[-1000, 0, 20, 80, 3000]]], np.float32)
    scaled = rescale(hounsfield, "modality", BRAIN_WINDOW)
    np.testing.assert_allclose(scaled, [[[-1, -1, -0.5, 1, 1]]], atol=1e-6)


def test_a_picture_counts_as_windowed_already():
    picture = np.array([[[0, 0.25, 1]]], np.float32)
    np.testing.assert_allclose(rescale(picture, "display", BRAIN_WINDOW), [[[-1, -0.5, 1]]])


def test_percentiles_are_those_computed_by_hand():
    recipe = Intensity(recipe="percentile", low=25, high=75, output_low=0, output_high=1)
    # Of 0, 10, 20, 30, 40 the quartiles are 10 and 30.
    scaled = rescale(np.array([[[0, 10, 20, 30, 40]]], np.float32), "modality", recipe)
    np.testing.assert_allclose(scaled, [[[0, 0, 0.5, 1, 1]]], atol=1e-6)


@pytest.mark.parametrize("spatial", SPATIAL, ids=["2D", "3D"])
def test_scanner_gain_and_offset_do_not_change_percentile_scaling(spatial):
    voxels = voxels_of(2, *spatial)
    np.testing.assert_allclose(
        rescale(voxels * 7 + 500, "modality", PERCENTILE),
        rescale(voxels, "modality", PERCENTILE),
        atol=1e-5,  # float32 keeps 7 digits, and the offset costs one of them
    )


def test_percentiles_0_and_100_are_the_darkest_and_the_brightest_voxel():
    voxels = np.random.default_rng(0).normal(size=(1, 9, 8)).astype(np.float32)
    recipe = Intensity(recipe="percentile", low=0, high=100, output_low=-1, output_high=1)
    low, high = np.percentile(voxels, (0, 100))
    expected = 2 * (voxels - low) / (high - low) - 1
    np.testing.assert_allclose(rescale(voxels, "modality", recipe), expected, atol=1e-6)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 3, 2, 1), (0, 2, 3, 1)], ids=str)
@pytest.mark.parametrize("turned", [(1, 1, 1), (1, -1, 1), (-1, 1, -1)], ids=str)
def test_the_darkest_and_the_brightest_voxel_are_found_however_the_axes_run(axes, turned):
    voxels = voxels_of(1, 4, 5, 6)
    recipe = Intensity(recipe="percentile", low=0, high=100, output_low=0, output_high=1)
    view = voxels[:, :: turned[0], :: turned[1], :: turned[2]].transpose(axes)
    scaled = rescale(view, "modality", recipe)
    np.testing.assert_array_equal(scaled, rescale(np.ascontiguousarray(view), "modality", recipe))
    assert (scaled.min(), scaled.max()) == (0, pytest.approx(1))


def test_each_channel_has_percentiles_of_its_own():
    voxels = voxels_of(2, 9, 7)
    alone = rescale(voxels[1:], "modality", PERCENTILE)
    np.testing.assert_array_equal(rescale(voxels, "modality", PERCENTILE)[1:], alone)


def test_an_empty_colour_channel_becomes_the_lowest_output():
    recipe = Intensity(recipe="percentile", low=0, high=100, output_low=-1, output_high=1)
    assert (rescale(np.full((1, 4, 4), 7, np.float32), "display", recipe) == -1).all()


@pytest.mark.parametrize("intensity", [BRAIN_WINDOW, PERCENTILE], ids=["window", "percentile"])
@pytest.mark.parametrize("unit", ["modality", "display"])
def test_the_input_is_left_untouched_and_the_output_stays_in_range(intensity, unit):
    voxels = voxels_of(1, 9, 7)
    before = voxels.copy()
    scaled = rescale(voxels, unit, intensity)
    np.testing.assert_array_equal(voxels, before)
    assert scaled.min() >= intensity.output_low
    assert scaled.max() <= intensity.output_high


def test_an_upside_down_window_is_refused():
    with pytest.raises(ValueError, match="low must be below high"):
        Intensity(recipe="window", low=80, high=0, output_low=0, output_high=1)


def test_channels_are_standardised_each_by_its_own_numbers():
    images = np.array([[[[0.5]], [[0.5]]]], np.float32)
    standard = standardise(images, (0.5, 0.25), (0.1, 0.5))
    np.testing.assert_allclose(standard.ravel(), [0, 0.5], atol=1e-7)
    assert standard.dtype == np.float32


def test_standardised_images_can_be_brought_back():
    images = np.random.default_rng(0).random((3, 2, 5, 4), np.float32)
    numbers = (0.4, 0.5), (0.2, 0.3)
    back = unstandardise(standardise(images, *numbers), *numbers)
    np.testing.assert_allclose(back, images, atol=1e-6)


def test_without_numbers_nothing_is_computed():
    images = np.zeros((1, 1, 2, 2), np.float32)
    assert standardise(images, (), ()) is images
    assert unstandardise(images, (), ()) is images
