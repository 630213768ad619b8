"""The body without what lies beside it; the brain without its skull, and with its bleeds."""

import itertools

import cv2
import numpy as np
import pytest

from infer.foreground import foreground_of, stripped, three_classes
from infer.phantom import brain_window, head

SIZES = [(72, 60), (144, 120), (436, 345)]
BONE, TISSUE, AIR = 0.97, 0.45, 0.02
# Half axes of the outside of skull and brain, as shares of half a slice.
SKULL, BRAIN = (0.9, 0.8), (0.78, 0.68)


def radius(size, half_axes, centre=(0.0, 0.0)):
    """Below 1 within an ellipse."""
    y, x = (np.linspace(-1, 1, side) for side in size)
    down, right = (y[:, np.newaxis] - centre[0]) / half_axes[0], (x - centre[1]) / half_axes[1]
    return np.hypot(down, right)


def drawn_head(size, *, noise=0.03, skull=BONE):
    """An oval skull around tissue, in air."""
    head = np.where(radius(size, SKULL) < 1, skull, AIR)
    head = np.where(radius(size, BRAIN) < 1, TISSUE, head)
    return head + np.random.default_rng(0).normal(0, noise, size)


def found(pixels, recipe):
    slices = np.clip(pixels, 0, 1).astype(np.float32)[np.newaxis, np.newaxis]
    return foreground_of(slices, recipe)[0]


def overlap(one, other):
    """Of two masks: intersection over union."""
    return (one & other).sum() / (one | other).sum()


def test_three_classes_are_those_that_a_search_of_all_finds():
    for seed in range(20):
        counts = np.random.default_rng(seed).integers(0, 30, 12)
        levels = np.repeat(np.arange(12), counts)

        def variance(borders, levels=levels):
            parts = np.split(levels, np.searchsorted(levels, borders, side="right"))
            return sum(((part - part.mean()) ** 2).sum() if len(part) else 0.0 for part in parts)

        best = min(variance(borders) for borders in itertools.combinations(range(12), 2))
        classes = three_classes(counts)
        assert variance(classes[:2]) == pytest.approx(best)
        dark, middle, bright = classes.means
        assert dark < classes.lower + 1 <= middle < classes.upper + 1 <= bright


def test_fewer_than_three_levels_are_not_parted_into_three():
    assert three_classes(np.array([5, 0, 7, 0])) is None


@pytest.mark.parametrize("size", SIZES)
def test_the_body_is_found_with_its_holes_and_without_the_table(size):
    body = radius(size, SKULL) < 1
    pixels = drawn_head(size)
    pixels[radius(size, (0.1, 0.1)) < 1] = 0  # air inside
    pixels[-size[0] // 40 :] = TISSUE  # the table, below
    assert overlap(found(pixels, "body"), body) > 0.94  # a pixel of the rim


def test_a_body_of_one_tissue_is_found_in_noisy_air():
    pixels = np.where(radius((128, 128), (0.5, 0.5)) < 1, 0.6, 0.1)
    pixels += np.random.default_rng(0).normal(0, 0.06, pixels.shape)
    assert overlap(found(pixels, "body"), radius((128, 128), (0.5, 0.5)) < 1) > 0.94


@pytest.mark.parametrize("size", SIZES)
def test_the_brain_is_what_the_skull_encloses(size):
    assert overlap(found(drawn_head(size), "brain"), radius(size, BRAIN) < 1) > 0.93


def test_a_brain_need_not_be_darker_than_half_the_range():
    """In a narrow window tissue is nearly as bright as bone."""
    size = (200, 160)
    pixels = 0.3 + 0.7 * drawn_head(size, skull=1.2, noise=0.02)
    assert overlap(found(pixels, "brain"), radius(size, BRAIN) < 1) > 0.93


@pytest.mark.parametrize("centre", [(0.0, 0.45), (-0.55, 0.2), (0.5, -0.3)])
def test_a_bleed_as_bright_as_bone_stays_though_it_lies_against_the_skull(centre):
    size = (200, 160)
    brain = radius(size, BRAIN) < 1
    bleed = (radius(size, (0.25, 0.25), centre) < 1) & brain
    mask = found(np.where(bleed, BONE, drawn_head(size)), "brain")
    assert (mask & bleed).sum() > 0.8 * bleed.sum()
    assert overlap(mask, brain) > 0.9


@pytest.mark.parametrize("seed", range(12))
def test_lesions_of_phantoms_lie_within_the_brain_and_bone_beyond(seed):
    phantom = head(seed, size=(144, 120), lesions=[("bleed", "mass", "infarct")[seed % 3]])
    mask = found(brain_window(phantom.voxels_hu) / 255, "brain")
    assert (mask & phantom.mask).sum() > 0.97 * phantom.mask.sum()
    bone = phantom.voxels_hu > 300
    assert (mask & bone).sum() < 0.1 * bone.sum()


def test_hounsfield_units_and_a_windowed_picture_show_the_same_brain():
    hu = head(3, size=(144, 120), lesions=[]).voxels_hu
    in_full = found((hu + 1000) / 2500, "brain")
    assert overlap(in_full, found(brain_window(hu) / 255, "brain")) > 0.95


def test_a_skull_that_the_picture_cuts_off_at_one_side_is_still_a_skull():
    whole = drawn_head((200, 160))
    cut = whole[:, 20:]
    mask = found(cut, "brain")
    assert not mask.all()
    assert overlap(mask, radius((200, 160), BRAIN)[:, 20:] < 1) > 0.9


@pytest.mark.parametrize("recipe", ["body", "brain"])
def test_a_slice_in_which_nothing_is_found_is_foreground_as_a_whole(recipe):
    assert found(np.full((50, 40), 0.3), recipe).all()


def test_a_head_without_a_skull_is_not_searched_for_a_brain():
    pixels = np.where(radius((128, 100), BRAIN) < 1, 0.5, 0.0)
    assert found(pixels, "brain").all()
    pixels += 0.03 * np.random.default_rng(0).standard_normal(pixels.shape)
    assert found(pixels, "brain").all()


@pytest.mark.parametrize("recipe", ["body", "brain"])
def test_what_is_masked_already_is_left_as_it_is(recipe):
    pixels = drawn_head((200, 160))
    once = np.where(found(pixels, recipe), pixels, 0)
    twice = np.where(found(once, recipe), once, 0)
    assert (once != twice).mean() < 0.005


@pytest.mark.parametrize("recipe", ["body", "brain"])
def test_slices_do_not_depend_on_each_other_and_channels_are_seen_together(recipe):
    planes = np.stack([drawn_head((90, 70)), head(1, size=(90, 70), lesions=[]).voxels_hu / 80])
    grey = np.clip(planes, 0, 1).astype(np.float32)[:, np.newaxis]
    together = foreground_of(np.repeat(grey, 3, axis=1), recipe)
    for slices, mask in zip(grey, together, strict=True):
        np.testing.assert_array_equal(foreground_of(slices[np.newaxis], recipe)[0], mask)


@pytest.mark.parametrize("recipe", ["body", "brain"])
@pytest.mark.parametrize("size", [(2, 2), (2, 300), (7, 3), (1000, 9)])
def test_slices_of_any_shape_have_a_foreground(recipe, size):
    mask = found(np.random.default_rng(0).random(size), recipe)
    assert mask.shape == size
    assert mask.any()


def test_a_mirrored_head_has_a_mirrored_brain():
    pixels = cv2.GaussianBlur(drawn_head((128, 101)), (3, 3), 0)
    pixels[40:60, 30:38] = BONE
    mirrored = found(pixels[:, ::-1].copy(), "brain")[:, ::-1]
    assert overlap(found(pixels, "brain"), mirrored) > 0.99


def test_what_is_left_of_a_stripped_scan_differs_from_what_is_around_it_in_any_channel():
    voxels = np.full((2, 3, 7, 8), -3.5, np.float32)
    voxels[1] = 0  # standardised after it was stripped: its background lies in the middle
    voxels[0, 1, 2, 3] = -3.6
    voxels[1, 2, 0, 0] = 7.0
    voxels[1, 2, 4, 4] = -7.0
    assert np.argwhere(stripped(voxels)).tolist() == [[1, 2, 3], [2, 0, 0], [2, 4, 4]]
