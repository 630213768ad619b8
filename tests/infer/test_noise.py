"""Less noise, the same edges; against loops that do what the definitions say."""

import numpy as np
import pytest

from infer.noise import median, non_local_means

NLM = {"patch_px": 3, "search_px": 5, "strength": 0.1}
METHODS = {
    "median": lambda slices: median(slices, side_px=3),
    "wide median": lambda slices: median(slices, side_px=7),
    "non-local means": lambda slices: non_local_means(slices, **NLM),
}
each_method = pytest.mark.parametrize("reduced", METHODS.values(), ids=METHODS.keys())


def noise(*shape):
    return np.random.default_rng(0).random(shape, np.float32)


def step(spread):
    """Dark to the left, bright to the right, and noise."""
    clean = np.full((1, 1, 64, 64), 0.3, np.float32)
    clean[..., 32:] = 0.7
    return clean, clean + np.random.default_rng(1).normal(0, spread, clean.shape).astype(np.float32)


def squares_around(plane, side, mode):
    """At each pixel, the square of `side` around it."""
    padded = np.pad(plane, side // 2, mode=mode)
    return np.lib.stride_tricks.sliding_window_view(padded, (side, side))


def means_as_published(plane, patch_px, search_px, strength):
    """Buades, Coll and Morel (2005), pixel by pixel."""
    patch, search = patch_px // 2, search_px // 2
    wide = np.pad(plane.astype(np.float64), patch + search, mode="symmetric")
    patches = np.lib.stride_tricks.sliding_window_view(wide, (patch_px, patch_px))
    result = np.zeros(plane.shape)
    for y, x in np.ndindex(plane.shape):
        own = patches[y + search, x + search]
        others = patches[y : y + search_px, x : x + search_px]
        weights = np.exp(-((others - own) ** 2).mean(axis=(2, 3)) / strength**2)
        result[y, x] = (weights * others[:, :, patch, patch]).sum() / weights.sum()
    return result


@pytest.mark.parametrize("side", [3, 5, 7, 9])
def test_a_median_is_that_of_the_square_around_each_pixel(side):
    slices = noise(2, 1, 12, 15)
    found = median(slices, side_px=side)
    for plane, quiet in zip(slices[:, 0], found[:, 0], strict=True):
        expected = np.median(squares_around(plane, side, "edge"), axis=(2, 3))
        np.testing.assert_array_equal(quiet, expected)


@pytest.mark.parametrize(
    "numbers", [(3, 5, 0.3), (3, 7, 0.1), (5, 3, 0.5)], ids=["3 in 5", "3 in 7", "5 in 3"]
)
def test_non_local_means_are_those_of_the_definition(numbers):
    plane = noise(11, 14)
    patch_px, search_px, strength = numbers
    [[found]] = non_local_means(
        plane[np.newaxis, np.newaxis],
        patch_px=patch_px,
        search_px=search_px,
        strength=strength,
    )
    np.testing.assert_allclose(found, means_as_published(plane, *numbers), atol=1e-6)


@each_method
def test_noise_falls_and_an_edge_stays_where_it_is(reduced):
    clean, noisy = step(0.05)
    quiet = reduced(noisy)
    assert (quiet - clean)[..., 4:28].std() < 0.6 * (noisy - clean)[..., 4:28].std()
    left, right = quiet[..., 8:-8, 31].mean(), quiet[..., 8:-8, 32].mean()
    assert right - left > 0.6 * 0.4  # a mean of 3 × 3 leaves a third of it, of 7 × 7 a seventh


@each_method
def test_a_constant_slice_stays_as_it_is(reduced):
    slices = np.full((2, 3, 20, 17), 0.4, np.float32)
    np.testing.assert_allclose(reduced(slices), slices, rtol=1e-6)


@each_method
def test_every_slice_and_channel_is_its_own(reduced):
    slices = noise(3, 2, 16, 13)
    together = reduced(slices)
    assert together.dtype == np.float32
    for at, channel in np.ndindex(3, 2):
        alone = reduced(slices[at : at + 1, channel : channel + 1])
        np.testing.assert_array_equal(together[at, channel], alone[0, 0])


@each_method
def test_the_argument_is_left_as_it_is(reduced):
    slices = noise(1, 1, 20, 20)
    before = slices.copy()
    reduced(slices)
    np.testing.assert_array_equal(slices, before)


@each_method
@pytest.mark.parametrize("size", [(2, 2), (2, 40), (5, 3)])
def test_a_slice_may_be_smaller_than_the_squares(reduced, size):
    assert np.isfinite(reduced(noise(1, 1, *size))).all()


@each_method
def test_slices_of_a_turned_volume_give_the_same(reduced):
    slices = noise(1, 1, 16, 13)
    turned = np.flip(np.flip(slices, axis=2).copy(), axis=2)  # not contiguous
    np.testing.assert_array_equal(reduced(turned), reduced(slices))
