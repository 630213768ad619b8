"""Components, against those counted by hand and by SciPy on the whole grid."""

import numpy as np
import pytest
from scipy import ndimage

from export.lesions import Lesion, match


def test_lesions_found_missed_and_false_are_those_one_sees():
    truth = np.array(
        [
            [1, 1, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0],  # a corner joins
            [0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0],
        ],
        bool,
    )
    mask = np.array(
        [
            [0, 1, 0, 0, 1, 1],
            [0, 0, 1, 0, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0],
        ],
        bool,
    )
    found = match(mask, truth)
    assert found.lesions == (Lesion(voxels=3, covered=2), Lesion(voxels=1, covered=0))
    assert sorted(found.false) == [1, 2]


def test_a_corner_joins_in_a_volume_as_well():
    truth = np.zeros((2, 2, 2), bool)
    truth[0, 0, 0] = truth[1, 1, 1] = True
    assert match(np.zeros_like(truth), truth).lesions == (Lesion(voxels=2, covered=0),)


def test_a_component_that_touches_a_lesion_with_one_voxel_is_not_false():
    truth, mask = np.zeros((5, 9), bool), np.zeros((5, 9), bool)
    truth[2, 2] = True
    mask[2, 2:8] = True
    assert match(mask, truth).false == ()


@pytest.mark.parametrize("spatial", [(40, 37), (9, 20, 17)], ids=["2D", "3D"])
def test_counts_are_those_of_scipy_on_the_whole_grid(spatial):
    draw = np.random.default_rng(0)
    truth, mask = (
        ndimage.gaussian_filter(draw.normal(size=spatial), 1) > level for level in (0.25, 0.2)
    )
    full = np.ones((3,) * len(spatial))
    labels, count = ndimage.label(truth, full)
    found = match(mask, truth)
    assert count > 3
    assert sorted(found.lesions) == sorted(
        ((labels == at).sum(), ((labels == at) & mask).sum()) for at in range(1, count + 1)
    )
    labels, count = ndimage.label(mask, full)
    alone = [at for at in range(1, count + 1) if not (truth & (labels == at)).any()]
    assert sorted(found.false) == sorted((labels == at).sum() for at in alone)


def test_nothing_beside_nothing_is_nothing():
    nothing = np.zeros((4, 5, 6), bool)
    assert match(nothing, nothing) == ((), ())
