"""Recipes that are off cost nothing; what is not foreground is black."""

from dataclasses import replace

import numpy as np
import pytest

from infer.foreground import foreground_of
from infer.noise import median, non_local_means
from infer.phantom import brain_window, head
from infer.preprocessing import UNPROCESSED, preprocess


def heads(count=2):
    drawn = [brain_window(head(at, size=(90, 72), lesions=[]).voxels_hu) for at in range(count)]
    return (np.stack(drawn)[:, np.newaxis] / 255).astype(np.float32)


def test_without_a_recipe_nothing_is_computed():
    slices = heads()
    assert preprocess(slices, UNPROCESSED) is slices
    assert not UNPROCESSED.acts


@pytest.mark.parametrize("foreground", ["body", "brain"])
def test_what_is_not_foreground_is_black_and_the_rest_untouched(foreground):
    slices = heads()
    before = slices.copy()
    seen = preprocess(slices, replace(UNPROCESSED, foreground=foreground))
    inside = foreground_of(slices, foreground)[:, np.newaxis]
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(seen[inside], slices[inside])
    assert not seen[~inside].any()
    np.testing.assert_array_equal(slices, before)
    assert seen.dtype == np.float32


def test_noise_is_reduced_by_the_recipes_numbers():
    slices = heads()
    quiet = preprocess(slices, replace(UNPROCESSED, noise="median", noise_px=5))
    np.testing.assert_array_equal(quiet, median(slices, side_px=5))
    recipe = replace(
        UNPROCESSED, noise="non_local_means", noise_px=5, noise_search_px=7, noise_strength=0.2
    )
    expected = non_local_means(slices, patch_px=5, search_px=7, strength=0.2)
    np.testing.assert_array_equal(preprocess(slices, recipe), expected)


def test_the_foreground_is_that_of_the_slice_before_its_noise_was_reduced():
    slices = heads()
    both = preprocess(slices, replace(UNPROCESSED, noise="median", foreground="brain"))
    inside = foreground_of(slices, "brain")[:, np.newaxis]
    np.testing.assert_array_equal(both, np.where(inside, median(slices, side_px=3), 0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"noise_px": 4}, "noise_px must be odd"),
        ({"noise_search_px": 1}, "noise_search_px must be odd, from 3 to 63"),
        ({"noise_px": 65}, "noise_px must be odd, from 3 to 63"),
        ({"noise_strength": 0.0}, "noise_strength must be above 0"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        replace(UNPROCESSED, **wrong)
