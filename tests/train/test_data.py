"""The block `data`: which images a study may ask for; and its tables, there and back."""

from pathlib import Path

import numpy as np
import pytest

from infer.preprocessing import UNPROCESSED
from train.data import DataConfig, DataIntensity, Prepared, SplitCase, load_cases, save
from train.datasets.case import Case

NUMBERS = {
    "dataset": "phantom",
    "source": "here",
    "modality": "CT",
    "channels": 1,
    "colours": (),
    "plane": "axial",
    "slice_range": (0.0, 1.0),
    "intensity": DataIntensity(recipe="window", low=0.0, high=80.0, inside="all"),
    "preprocessing": UNPROCESSED,
    "store": "float32",
    "smallest_foreground": 0.0,
    "options": {},
}


@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (224, 224), (256, 160)])
def test_sides_are_any_multiple_of_32_up_to_256(image_size):
    assert DataConfig(**NUMBERS, image_size=image_size).image_size == image_size


@pytest.mark.parametrize("image_size", [(48, 48), (16, 16), (512, 512), (0, 64), (64, 225)])
def test_other_sides_are_refused_in_words(image_size):
    with pytest.raises(ValueError, match="multiples of 32 from 32 to 256"):
        DataConfig(**NUMBERS, image_size=image_size)


def test_stacks_of_few_slices_are_volumes_too():
    assert DataConfig(**NUMBERS, image_size=(8, 64, 32)).image_size == (8, 64, 32)


@pytest.mark.parametrize("depth", [0, 2, 6, 260])
def test_other_depths_are_refused_in_words(depth):
    with pytest.raises(ValueError, match=f"multiple of 4 from 4 to 256, got {depth}"):
        DataConfig(**NUMBERS, image_size=(depth, 64, 32))


@pytest.mark.parametrize("known", [{}, {"kind": "HGG"}, {"kind": "noise", "size_mm": 7.25}])
def test_cases_come_back_as_they_were_written(known, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("data/study")
    folder.mkdir(parents=True)
    healthy = Case(scan=Path("0.nii.gz"), group="a", normal=True, mask=None)
    abnormal = Case(
        scan=Path("1.nii.gz"), group="a", normal=False, mask=Path("mask.nii.gz"), **known
    )
    cases = [SplitCase(case=case, split="test") for case in (healthy, abnormal)]
    images = np.zeros((0, 1, 32, 32), np.float32)
    save(folder, Prepared(cases=cases, rows=[], images=images))
    assert load_cases("study") == cases
    header = (folder / "cases.csv").read_text().splitlines()[0]
    assert header == ",".join(["scan,group,label,mask,split", *known])
