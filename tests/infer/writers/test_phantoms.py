"""The demo folder: scans that our readers read, and a truth that fits them."""

import csv

import numpy as np
import pytest

from infer.errors import BadOutputError
from infer.phantom import head_volume, main
from infer.readers import find_scans, read
from infer.writers import phantoms
from infer.writers.phantoms import FIRST_HEAD, write_phantoms


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(phantoms, "VOLUME_SHAPE", (6, 56, 48))
    write_phantoms(tmp_path / "demo" / "scans", scans=8, seed=0)
    return tmp_path / "demo" / "scans"


def _truth(folder):
    with (folder.with_name("scans-truth") / "truth.csv").open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def test_every_scan_is_in_the_table_and_nothing_else_is_in_the_folder(folder):
    assert {path.name for path in folder.iterdir()} == set(_truth(folder))
    assert [path.name for path in find_scans(folder)] == sorted(_truth(folder))


def test_masks_lie_over_their_scans(folder):
    for name, row in _truth(folder).items():
        if row["mask"]:
            scan, mask = read(folder / name), read(folder.with_name("scans-truth") / row["mask"])
            assert mask.voxels.shape == scan.voxels.shape
            assert mask.spacing_mm == scan.spacing_mm
            assert (mask.voxels > 0).sum() == int(row["lesion_voxels"])


def test_a_volume_comes_back_from_its_file_in_our_own_order(folder):
    at = next(at for at, name in enumerate(sorted(_truth(folder))) if name.endswith(".nii.gz"))
    drawn = head_volume(FIRST_HEAD + at, shape=(6, 56, 48), lesions=())
    volume = read(sorted(folder.iterdir())[at])
    # Files hold whole HU.
    np.testing.assert_allclose(volume.voxels[0], drawn.voxels_hu, atol=0.51)
    np.testing.assert_allclose(volume.spacing_mm, drawn.spacing_mm, rtol=1e-6)


def test_a_folder_in_use_is_left_alone(folder):
    with pytest.raises(BadOutputError, match="not empty"):
        write_phantoms(folder, scans=2, seed=0)


def test_the_command_says_what_it_wrote(tmp_path, capsys):
    assert main([str(tmp_path / "scans"), "--scans", "2"]) == 0
    assert "2 scans, 1 of them with a lesion" in capsys.readouterr().out
