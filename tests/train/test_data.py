"""The block `data`: which images a study may ask for."""

import pytest

from infer.preprocessing import UNPROCESSED
from train.data import DataConfig, DataIntensity

NUMBERS = {
    "dataset": "phantom",
    "source": "here",
    "modality": "CT",
    "channels": 1,
    "plane": "axial",
    "intensity": DataIntensity(recipe="window", low=0.0, high=80.0),
    "preprocessing": UNPROCESSED,
    "options": {},
}


@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (224, 224), (256, 160)])
def test_sides_are_any_multiple_of_32_up_to_256(image_size):
    assert DataConfig(**NUMBERS, image_size=image_size).image_size == image_size


@pytest.mark.parametrize("image_size", [(48, 48), (16, 16), (512, 512), (0, 64), (64, 225)])
def test_other_sides_are_refused_in_words(image_size):
    with pytest.raises(ValueError, match="multiples of 32 from 32 to 256"):
        DataConfig(**NUMBERS, image_size=image_size)
