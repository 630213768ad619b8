"""The file's grid and ours."""

import itertools

import numpy as np
import pytest

from infer.volume import Grid

ORIENTATIONS = list(
    itertools.product(itertools.permutations(range(3)), itertools.product([False, True], repeat=3))
)


@pytest.mark.parametrize(("axes", "flipped"), ORIENTATIONS)
def test_the_way_to_the_file_is_the_inverse_of_the_way_from_it(axes, flipped):
    stored = np.arange(24).reshape(2, 3, 4)
    grid = Grid(shape=stored.shape, axes=axes, flipped=flipped)
    ours = grid.from_file(stored)
    np.testing.assert_array_equal(grid.to_file(ours), stored)
    for index in np.ndindex(ours.shape):
        assert stored[grid.index_in_file(index)] == ours[index]
