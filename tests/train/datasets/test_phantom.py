from pathlib import Path

import pytest

from infer.readers import find_scans, read
from train.datasets.phantom import PhantomOptions, phantom_cases

OPTIONS = PhantomOptions(normals=3, abnormals=4, size=(72, 60), seed=1)


@pytest.fixture
def cases(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return phantom_cases(Path("unused"), OPTIONS, Path("data/scans"))


def test_as_many_scans_are_drawn_as_asked_for(cases):
    assert [case.normal for case in cases] == [True] * 3 + [False] * 4
    assert len(find_scans(Path("data/scans"))) == 7


def test_abnormal_scans_have_a_mask_of_their_own_size_and_normal_ones_none(cases):
    for case in cases:
        assert (case.mask is None) == case.normal
        if case.mask:
            mask = read(case.mask).voxels
            assert mask.shape == read(case.scan).voxels.shape == (1, 72, 60)
            assert mask.any()


def test_every_head_is_its_own_group(cases):
    assert len({case.group for case in cases}) == 7


def test_two_seeds_share_no_head(cases):
    other = PhantomOptions(normals=3, abnormals=4, size=(72, 60), seed=2)
    again = phantom_cases(Path("unused"), other, Path("other/scans"))
    first, second = ({case.scan.read_bytes() for case in found} for found in (cases, again))
    assert not first & second


def test_three_sides_draw_volumes_with_masks_on_their_grid(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = PhantomOptions(normals=1, abnormals=1, size=(12, 48, 40), seed=1)
    normal, abnormal = phantom_cases(Path("unused"), options, Path("data/scans"))
    assert normal.mask is None
    scan, mask = read(abnormal.scan), read(abnormal.mask)
    assert scan.voxels.shape == mask.voxels.shape == (1, 12, 48, 40)
    assert scan.spacing_mm == mask.spacing_mm
    assert scan.unit == "modality"
    assert scan.voxels.min() < -900  # HU of air
    assert mask.voxels.any()


@pytest.mark.parametrize("size", [(48,), (1, 48, 40), (12, 16, 40), (12, 48, 40, 2)])
def test_sizes_that_cannot_be_drawn_are_refused(size):
    with pytest.raises(ValueError, match="size must"):
        PhantomOptions(normals=1, abnormals=1, size=size, seed=1)
