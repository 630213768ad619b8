"""What of a scan is compared with the normals: pictures and volumes, and back from JSON."""

import json

import numpy as np
import pytest

from infer.traits import Traits, traits_from, traits_of
from infer.volume import Grid, Volume


def volume(*spatial, spacing_mm):
    axes = tuple(range(len(spatial)))
    return Volume(
        voxels=np.zeros((1, *spatial), np.float32),
        unit="modality",
        spacing_mm=spacing_mm,
        grid=Grid(shape=spatial, axes=axes, flipped=(False,) * len(spatial)),
    )


IMAGES = np.array([0.0, 1.0, 0.0, 1.0], np.float32).reshape(1, 1, 2, 2)


def test_a_picture_is_one_slice_of_voxels_of_unknown_size():
    traits = traits_of(volume(40, 50, spacing_mm=None), IMAGES)
    assert traits == Traits(0.5, 0.5, (1, 40, 50), (0.0, 0.0, 0.0))


def test_a_volume_has_its_own_size_and_spacing():
    traits = traits_of(volume(7, 26, 22, spacing_mm=(3.0, 1.0, 0.99999999)), IMAGES)
    assert traits.size == (7, 26, 22)
    assert traits.spacing_mm == (3.0, 1.0, 1.0)


def test_they_come_back_from_json():
    traits = traits_of(volume(7, 26, 22, spacing_mm=(3.0, 0.5, 0.5)), IMAGES)
    assert traits_from(json.loads(json.dumps(traits))) == traits


@pytest.mark.parametrize("values", [7, [], [1, 2, 3, 4], [0.1, 0.2, [1, 2], [0, 0, 0]], "four"])
def test_something_else_is_none(values):
    with pytest.raises((TypeError, ValueError)):
        traits_from(values)
