"""Do two files of one shape lie on the same voxels of the patient?"""

import itertools

import nibabel
import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, ornt_transform

from infer.readers import read
from infer.volume import Grid, same_place

SHAPE = (5, 6, 7)
AFFINE = np.array([[-0.8, 0.05, 0, 40], [0.04, 1.0, 0, -30], [0, 0, 3.0, 12], [0, 0, 0, 1.0]])
ORIENTATIONS = [
    "".join(codes)
    for order in itertools.permutations(("LR", "AP", "IS"))
    for codes in itertools.product(*order)
]


@pytest.fixture
def grid_of(tmp_path):
    def grid_of(affine, *, codes=(1, 1), orientation="", name="a.nii.gz"):
        image = nibabel.Nifti1Image(np.zeros(SHAPE, np.int16), affine)
        image.set_sform(affine, codes[0])
        image.set_qform(affine, codes[1])
        if orientation:
            turn = ornt_transform(nibabel.io_orientation(affine), axcodes2ornt(tuple(orientation)))
            image = image.as_reoriented(turn)
        nibabel.save(image, tmp_path / name)
        return read(tmp_path / name).grid

    return grid_of


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_same_voxels_stored_in_another_order_lie_at_the_same_place(grid_of, orientation):
    assert same_place(grid_of(AFFINE), grid_of(AFFINE, orientation=orientation))


def changed(row, column, value):
    affine = AFFINE.copy()
    affine[row, column] += value
    return affine


@pytest.mark.parametrize(
    "other",
    [
        AFFINE @ np.diag([-1.0, 1, 1, 1]),  # the same numbers, the other way round
        AFFINE @ np.diag([1.0, 1, -1, 1]),
        changed(0, 3, 500.0),
        changed(2, 2, 2.0),
        np.eye(4),
    ],
    ids=["left and right", "upside down", "elsewhere", "thicker slices", "no affine to speak of"],
)
def test_a_grid_that_lies_otherwise_is_another(grid_of, other):
    assert not same_place(grid_of(AFFINE), grid_of(other))


def test_what_a_header_rounds_makes_no_difference(grid_of):
    assert same_place(grid_of(AFFINE), grid_of(changed(1, 3, 0.2)))


def test_a_file_that_does_not_say_where_it_lies_must_have_its_axes_alike(grid_of):
    unplaced = grid_of(AFFINE, codes=(0, 0), name="unplaced.nii.gz")
    assert unplaced.flipped[2] == grid_of(AFFINE).flipped[2]  # both run towards the left
    assert same_place(grid_of(AFFINE), unplaced)
    assert not same_place(grid_of(AFFINE @ np.diag([-1.0, 1, 1, 1])), unplaced)


def test_a_picture_lies_nowhere(grid_of):
    picture = Grid(shape=SHAPE[:2], axes=(0, 1), flipped=(False, False))
    assert same_place(picture, picture)
    assert same_place(picture, grid_of(AFFINE))
