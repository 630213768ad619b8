"""Voxel values → network range."""

import numpy as np
import pytest

from infer.intensity import Intensity, rescale, standardise, unstandardise

SPATIAL = [(9, 7), (5, 6, 7)]
ZSCORE = Intensity(recipe="zscore", low=-2, high=3, output_low=0, output_high=1)
BRAIN_WINDOW = Intensity(recipe="window", low=0, high=80, output_low=-1, output_high=1)
PERCENTILE = Intensity(recipe="percentile", low=1, high=99, output_low=0, output_high=1)


def stripped(*, background=0.0, shape=(6, 60, 64)):
    """A head of textured tissue, brighter than 100, in one single value; and where it is."""
    rng = np.random.default_rng(1)
    inside = np.zeros(shape, bool)
    inside[1:-1, 4:-4, 5:-5] = True
    tissue = rng.normal(200, 20, shape).clip(100, 300)
    return np.where(inside, tissue, background).astype(np.float32)[np.newaxis], inside


def in_air(shape=(6, 68, 60)):
    """The same in noisy air, and where it is."""
    rng = np.random.default_rng(2)
    rows, columns = (np.linspace(-1, 1, side) for side in shape[1:])
    inside = np.broadcast_to(np.hypot(rows[:, np.newaxis] / 0.7, columns / 0.7) < 1, shape)
    voxels = np.where(inside, rng.normal(200, 20, shape), np.abs(rng.normal(0, 4, shape)))
    return voxels.astype(np.float32)[np.newaxis], inside


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


def within(recipe, inside, low, high):
    return Intensity(recipe=recipe, low=low, high=high, output_low=-1, output_high=1, inside=inside)


OF_PATIENTS = [
    pytest.param(recipe, inside, scan, id=f"{recipe} {inside}")
    for recipe in (("percentile", 1, 99), ("zscore", -3, 3))
    for inside, scan in (("stripped", stripped), ("body", in_air))
]


def test_standard_deviations_are_those_computed_by_hand():
    # Of 2, 4, 4, 4, 5, 5, 7, 9 the mean is 5 and the standard deviation 2: -2 and 3 are 1 and 11.
    voxels = np.array([[[2, 4, 4, 4, 5, 5, 7, 9]]], np.float32)
    expected = [[[0.1, 0.3, 0.3, 0.3, 0.4, 0.4, 0.6, 0.8]]]
    np.testing.assert_allclose(rescale(voxels, "modality", ZSCORE), expected, atol=1e-6)


def test_inside_a_stripped_head_the_range_is_computed_by_hand():
    voxels = np.zeros((1, 5, 6), np.float32)
    voxels[0, 1:4, 1:5] = np.arange(12).reshape(3, 4) * 10 + 10  # 10 to 120
    recipe = within("percentile", "stripped", 0, 100)
    scaled = rescale(voxels, "modality", recipe)
    np.testing.assert_allclose(scaled[voxels > 0], np.linspace(-1, 1, 12), atol=1e-6)
    assert (scaled[voxels == 0] == -1).all()


@pytest.mark.parametrize(("recipe", "inside", "scan"), OF_PATIENTS)
def test_gain_and_offset_of_the_scanner_do_not_change_the_images(recipe, inside, scan):
    voxels, _ = scan()
    intensity = within(recipe[0], inside, *recipe[1:])
    np.testing.assert_allclose(
        rescale(voxels * 7 + 500, "modality", intensity),
        rescale(voxels, "modality", intensity),
        atol=1e-4,  # float32 keeps 7 digits, and the offset costs one of them
    )


@pytest.mark.parametrize(("recipe", "inside", "scan"), OF_PATIENTS)
def test_how_much_air_surrounds_the_patient_does_not_change_him(recipe, inside, scan):
    voxels, patient = scan()
    intensity = within(recipe[0], inside, *recipe[1:])
    margin = ((0, 0), (0, 0), (20, 20), (20, 20))
    wide = rescale(np.pad(voxels, margin), "modality", intensity)[..., 20:-20, 20:-20]
    alone = rescale(voxels, "modality", intensity)
    # A body's rim is found in a copy of another size: a pixel of it may count or not.
    np.testing.assert_allclose(wide[:, patient], alone[:, patient], atol=0.05)


@pytest.mark.parametrize(("recipe", "inside", "scan"), OF_PATIENTS)
def test_a_small_bright_lesion_hardly_moves_healthy_tissue(recipe, inside, scan):
    voxels, patient = scan()
    intensity = within(recipe[0], inside, *recipe[1:])
    ill = voxels.copy()
    ill[0, 2, 10:13, 10:13] = 320  # six deviations above; 9 of some thousand voxels
    healthy = patient & (ill == voxels)[0]
    moved = rescale(ill, "modality", intensity) - rescale(voxels, "modality", intensity)
    assert np.abs(moved[:, healthy]).max() < 0.1  # of a range of 2


@pytest.mark.parametrize("background", [0.0, -50.0, 200.0, 1000.0])
@pytest.mark.parametrize("recipe", [("percentile", 1, 99), ("zscore", -3, 3)], ids=str)
def test_the_background_of_a_stripped_head_stays_at_the_low_end(recipe, background):
    """Even where it lies in the middle of the tissue's values, as in scans standardised before."""
    voxels, patient = stripped(background=background)
    intensity = within(recipe[0], "stripped", *recipe[1:])
    scaled = rescale(voxels, "modality", intensity)
    assert (scaled[:, ~patient] == -1).all()
    expected, _ = stripped(background=0.0)
    np.testing.assert_allclose(
        scaled[:, patient], rescale(expected, "modality", intensity)[:, patient], atol=1e-6
    )


def test_a_scan_of_one_single_value_becomes_the_low_end():
    for inside in ("all", "stripped", "body"):
        recipe = within("zscore", inside, -3, 3)
        assert (rescale(np.full((1, 3, 8, 8), 7, np.float32), "modality", recipe) == -1).all()


def test_each_channel_has_a_foreground_of_its_own():
    first, _ = stripped()
    second = in_air(first.shape[1:])[0]
    recipe = within("zscore", "stripped", -3, 3)
    both = rescale(np.concatenate([first, second]), "modality", recipe)
    for at, alone in enumerate((first, second)):
        np.testing.assert_array_equal(both[at], rescale(alone, "modality", recipe)[0])


def test_a_window_of_some_voxels_only_is_refused():
    with pytest.raises(ValueError, match="inside cannot be stripped"):
        within("window", "stripped", 0, 80)
