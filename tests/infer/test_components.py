"""Components by runs, against those that SciPy labels voxel by voxel."""

import numpy as np
import pytest
from scipy import ndimage

from infer.components import large_components

SHAPES = [(1, 1, 1), (1, 9, 8), (7, 1, 9), (6, 8, 1), (9, 7, 11)]


def large_by_scipy(mask, at_least):
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    large = [part for part in range(1, count + 1) if sizes[part] >= at_least]
    return np.isin(labels, large), len(large)


@pytest.mark.parametrize("at_least", [0, 1, 2, 5])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.1, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_they_are_those_that_scipy_finds(shape, share, at_least):
    for seed in range(5):
        mask = np.random.default_rng(seed).random(shape) < share
        before = mask.copy()
        found = large_components(mask, at_least=at_least)
        expected, count = large_by_scipy(mask, at_least)
        np.testing.assert_array_equal(found.mask, expected)
        assert found.components == count
        np.testing.assert_array_equal(mask, before)


def test_what_ends_one_row_does_not_touch_what_begins_the_next():
    mask = np.zeros((2, 4, 5), bool)
    mask[0, 1, 4] = mask[0, 2, 0] = True
    mask[0, 3, 4] = mask[1, 0, 0] = True
    assert large_components(mask, at_least=1).components == 4


def test_a_component_may_wind_through_the_volume():
    """Parts of it meet only at its end: they must still become one."""
    mask = np.zeros((3, 9, 9), bool)
    mask[0, ::2] = True  # rows apart,
    mask[1, ::2, 8] = True  # led on at their ends,
    mask[2, :, 8] = True  # joined there
    assert large_components(mask, at_least=1).components == 1


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], ids=str)
def test_how_a_mask_lies_in_memory_does_not_matter(axes):
    mask = (np.random.default_rng(0).random((6, 7, 8)) < 0.1).transpose(axes)
    expected, count = large_by_scipy(mask, 3)
    found = large_components(mask, at_least=3)
    np.testing.assert_array_equal(found.mask, expected)
    assert found.components == count
    assert found.mask.flags.c_contiguous
