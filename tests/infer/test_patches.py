"""Cover and stitch, against counting by hand and against the whole image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.patches import Patches, cover, image_scores, starts, stitch


def patches_of(size, stride, top_share=1.0):
    return Patches(size=size, stride=stride, top_share=top_share)


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@st.composite
def divisions(draw):
    """An image's size, and size and stride of patches that fit into it."""
    image_size = draw(st.lists(st.integers(1, 9), min_size=2, max_size=3))
    size = [draw(st.integers(1, whole)) for whole in image_size]
    stride = [draw(st.integers(1, side)) for side in size]
    return tuple(image_size), tuple(size), tuple(stride)


@settings(deadline=None)  # time is not what is tested
@given(divisions())
def test_what_was_cut_is_put_together_again_bit_for_bit(division):
    image_size, *numbers = division
    patches = patches_of(*numbers)
    images = noise(2, 3, *image_size)
    np.testing.assert_array_equal(stitch(cover(images, patches), patches, image_size), images)


@settings(deadline=None)  # time is not what is tested
@given(divisions())
def test_every_pixel_is_covered_and_no_patch_leaves_the_image(division):
    image_size, *numbers = division
    patches = patches_of(*numbers)
    places = np.arange(np.prod(image_size), dtype=np.float32).reshape(1, 1, *image_size)
    cut = cover(places, patches)
    assert set(cut.ravel()) == set(places.ravel())
    steps = cut.reshape(len(cut), -1) - cut.reshape(len(cut), -1)[:, :1]
    assert (steps == steps[0]).all()  # a patch is a block of the image, wherever it lies


@settings(deadline=None)
@given(st.integers(1, 60), st.data())
def test_patches_along_an_axis_are_the_fewest_that_the_stride_allows(length, data):
    side = data.draw(st.integers(1, length))
    stride = data.draw(st.integers(1, side))
    found = starts(length, side, stride)
    assert found[0] == 0
    assert found[-1] + side == length
    assert len(found) == -(-(length - side) // stride) + 1
    assert all(0 < step <= stride for step in np.diff(found))


def test_the_mean_of_overlapping_patches_is_the_one_worked_out_by_hand():
    # A row of 5 pixels, patches of 3 every 2: pixels 0-2 and 2-4. Pixel 2 is in both.
    patches = patches_of((1, 3), (1, 2))
    cut = np.array([[1, 1, 1], [3, 3, 3]], np.float32).reshape(2, 1, 1, 3)
    assert stitch(cut, patches, (1, 5)).ravel().tolist() == [1, 1, 2, 3, 3]


def test_the_last_patch_is_shifted_back_to_the_border():
    # 5 pixels, patches of 2 every 2: the third would leave the image, so it begins at 3.
    cut = cover(np.arange(5, dtype=np.float32).reshape(1, 1, 1, 5), patches_of((1, 2), (1, 2)))
    assert cut[:, 0, 0].tolist() == [[0, 1], [2, 3], [3, 4]]


def test_patches_come_image_by_image_and_row_by_row():
    images = np.arange(8, dtype=np.float32).reshape(2, 1, 2, 2)
    assert cover(images, patches_of((1, 1), (1, 1))).ravel().tolist() == list(range(8))


def test_a_patch_as_large_as_the_image_is_the_image():
    images = noise(3, 2, 7, 5)
    np.testing.assert_array_equal(cover(images, patches_of((7, 5), (7, 5))), images)


def test_the_argument_is_left_untouched():
    images = noise(2, 1, 6, 6)
    before = images.copy()
    cover(images, patches_of((4, 4), (2, 2)))[:] = 0
    np.testing.assert_array_equal(images, before)


def test_an_images_score_is_the_mean_of_its_highest_patches():
    scores = np.array([1, 5, 3, 2, 40, 10, 30, 20], np.float32)  # two images, four patches each
    half = patches_of((4, 4), (2, 4), top_share=0.5)
    assert image_scores(scores, half, (10, 4)).tolist() == [4, 35]
    strongest = patches_of((4, 4), (2, 4), top_share=1e-9)
    assert image_scores(scores, strongest, (10, 4)).tolist() == [5, 40]


@pytest.mark.parametrize("size", [(9, 4), (4, 9), (4,)])
def test_patches_that_do_not_fit_into_the_image_are_refused(size):
    with pytest.raises(ValueError, match="do not fit into images of"):
        cover(noise(1, 1, 8, 8), patches_of(size, size))


@pytest.mark.parametrize("stride", [(5, 4), (4, 5), (0, 4), (4, -1)])
def test_a_stride_that_leaves_pixels_out_or_never_moves_is_refused(stride):
    with pytest.raises(ValueError, match="stride must be at least 1 and at most size"):
        patches_of((4, 4), stride)


def test_a_share_of_no_patches_is_refused():
    with pytest.raises(ValueError, match="top_share must lie in"):
        patches_of((4, 4), (4, 4), top_share=0.0)
