"""What is burnt into pictures is neither seen nor anomalous."""

import dataclasses

import numpy as np
import pytest

from infer.blanking import blanked, check_rectangles, without_blanks
from infer.finding import find_all
from infer.images import images_for
from infer.intensity import Intensity
from infer.preprocessing import UNPROCESSED
from tests.infer.test_finding import BATCH, Brightness, manifest_of, volume_of

CORNER = ((0.0, 0.5, 0.25, 1.0),)


def blanking(manifest, **preprocessing):
    recipe = dataclasses.replace(UNPROCESSED, blank=CORNER, **preprocessing)
    return dataclasses.replace(manifest, preprocessing=recipe)


def stamped(shape, value):
    """Noise, and the same with letters of this value in the corner."""
    voxels = np.random.default_rng(0).uniform(10, 60, shape).astype(np.float32)
    letters = voxels.copy()
    letters[..., 1, -3:-1] = value
    return volume_of(voxels), volume_of(letters)


def test_without_rectangles_nothing_is_copied():
    voxels = np.zeros((1, 4, 4), np.float32)
    assert blanked(voxels, (), "axial") is voxels
    assert without_blanks(voxels, ()) is voxels


def test_a_rectangle_becomes_as_dark_as_the_darkest_voxel_of_each_channel():
    voxels = np.random.default_rng(0).uniform(1, 2, (2, 8, 12)).astype(np.float32)
    before = voxels.copy()
    dark = blanked(voxels, CORNER, "axial")
    for own, given in zip(dark, voxels, strict=True):
        assert (own[:2, 6:] == given.min()).all()
    rest = np.ones((8, 12), bool)
    rest[:2, 6:] = False
    np.testing.assert_array_equal(dark[:, rest], voxels[:, rest])
    np.testing.assert_array_equal(voxels, before)


def test_a_pixel_that_a_rectangle_cuts_is_part_of_it():
    maps = np.ones((1, 10, 10), np.float32)
    cleared = without_blanks(maps, ((0.11, 0.0, 0.19, 0.05),))
    assert np.argwhere(cleared == 0).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize("preprocessing", [{}, {"noise": "median"}], ids=["alone", "with a median"])
@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 16, 16), (1, 5, 16, 16)], ids=str)
@pytest.mark.parametrize("value", [0.0, 255.0])
def test_neither_the_letters_nor_their_brightness_change_image_score_or_map(
    shape, value, preprocessing
):
    recipe = Intensity(recipe="percentile", low=0, high=100, output_low=0, output_high=1)
    manifest = dataclasses.replace(
        blanking(manifest_of("axial"), **preprocessing), intensity=recipe, channels=shape[0]
    )
    plain, letters = stamped(shape, value)
    darkest = plain.voxels.min()
    letters.voxels[..., 10, 3] = plain.voxels[..., 10, 3] = min(darkest, value)
    np.testing.assert_array_equal(images_for(letters, manifest), images_for(plain, manifest))
    one, other = find_all([plain, letters], manifest, Brightness(), batch_size=BATCH)
    assert one.score == other.score
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)
    assert (other.anomaly_map[..., :4, 8:] == 0).all()


@pytest.mark.parametrize(
    "post",
    [
        {"gaussian": "volume", "gaussian_px": 3.0},
        {"median": "volume", "gaussian": "slices"},
        {"foreground": "stripped", "prior": "bright_ramp", "prior_first": True},
    ],
    ids=str,
)
def test_no_filter_brings_anything_into_a_rectangle_or_letters_into_the_map(post):
    recipe = Intensity(recipe="percentile", low=0, high=100, output_low=0, output_high=1)
    manifest = dataclasses.replace(blanking(manifest_of("axial")), intensity=recipe)
    post = dataclasses.replace(manifest.postprocessing, **post)
    manifest = dataclasses.replace(manifest, postprocessing=post)
    plain, letters = stamped((1, 5, 16, 16), 255.0)
    one, other = find_all([plain, letters], manifest, Brightness(), batch_size=BATCH)
    np.testing.assert_array_equal(one.anomaly_map, other.anomaly_map)
    assert one.anomaly_map.any()
    assert (other.anomaly_map[..., :4, 8:] == 0).all()
    assert not other.mask[..., :4, 8:].any()


@pytest.mark.parametrize("wrong", [(0.0, 0.0, 0.0, 1.0), (0.5, 0.0, 0.2, 1.0), (0.0, 0.0, 1.0, 2)])
def test_a_rectangle_beyond_the_slice_or_without_area_is_refused(wrong):
    with pytest.raises(ValueError, match="blank is of rectangles"):
        check_rectangles((wrong,))
