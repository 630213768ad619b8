"""Volumes → a store: what is in it, whatever read it and however often it was interrupted."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from infer.preprocessing import UNPROCESSED
from infer.slicing import WHOLE
from infer.writers.phantoms import write_nifti
from train import storing
from train.data import DataConfig, DataIntensity
from train.datasets.case import Case
from train.reading import foreground_shares, read_case
from train.stored_images import as_images
from train.storing import Reader, store_images

DATA = DataConfig(
    dataset="folder",
    source="none",
    modality="MR",
    channels=1,
    colours=(),
    image_size=(32, 32),
    plane="axial",
    slice_range=WHOLE,
    intensity=DataIntensity(recipe="percentile", low=0.0, high=100.0, inside="all"),
    preprocessing=UNPROCESSED,
    store="float32",
    smallest_foreground=0.0,
    options={},
)
SHAPE = (8, 40, 32)  # voxels; slices are counted along the first
SCANS = 5
BRAIN = slice(2, 6)  # the slices that show any
LESION = slice(3, 5)


def volume(seed):
    """A bright block in black, as of a skull-stripped brain; a quarter of the slices it is in."""
    voxels = np.zeros(SHAPE, np.int16)
    block = np.random.default_rng(seed).integers(100, 200, (4, 20, 16))
    voxels[BRAIN, 10:30, 8:24] = block
    return voxels


def write(path, voxels):
    path.parent.mkdir(exist_ok=True)
    write_nifti(path, voxels, (1.0, 1.0, 1.0))
    return path


@pytest.fixture
def cases(tmp_path):
    """Volumes with nothing abnormal, each a little different."""
    scans = [write(tmp_path / "scans" / f"{at}.nii.gz", volume(at)) for at in range(SCANS)]
    return [Case(scan=it, group=it.name, normal=True, mask=None) for it in scans]


@pytest.fixture
def abnormal(tmp_path):
    """One with a lesion, which reaches two slices."""
    mask = np.zeros(SHAPE, np.int16)
    mask[LESION, 12:15, 10:12] = 1
    scan, truth = (tmp_path / name / "lesion.nii.gz" for name in ("scans", "masks"))
    write(scan, volume(9))
    return Case(scan=scan, group="lesion", normal=False, mask=write(truth, mask))


def stored(folder, cases, data=DATA, said=None):
    """The bytes of the store, and what is known of each scan."""
    found = store_images(folder, cases, data, [].append if said is None else said.append)
    return (folder / "images.npy").read_bytes(), found


@pytest.fixture
def reads(monkeypatch):
    """The names of the scans that are read from now on, one at a time."""
    names = []

    def counted(case, data):
        names.append(case.scan.name)
        return read_case(case, data)

    monkeypatch.setattr(storing, "read_case", counted)
    monkeypatch.setattr(storing, "cores", lambda: 1)
    return names


def test_it_holds_what_all_scans_give_when_read_at_once(cases, tmp_path):
    together = np.concatenate([read_case(it, DATA).images for it in cases])
    np.save(tmp_path / "together.npy", together)
    assert stored(tmp_path / "store", cases)[0] == (tmp_path / "together.npy").read_bytes()
    assert together.shape == (SCANS * SHAPE[0], 1, 32, 32)


@pytest.mark.parametrize("few", [0, storing.FEW_BYTES], ids=["processes", "threads"])
def test_neither_the_number_nor_the_kind_of_workers_leaves_a_trace(
    cases, tmp_path, monkeypatch, few
):
    one = stored(tmp_path / "one", cases)
    monkeypatch.setattr(storing, "FEW_BYTES", few)
    monkeypatch.setattr(storing, "cores", lambda: 3)
    assert stored(tmp_path / "three", cases) == one


@pytest.mark.parametrize("kind", ["float16", "uint8"])
def test_smaller_types_hold_the_same_images_rounded(cases, tmp_path, kind):
    stored(tmp_path, cases, replace(DATA, store=kind))
    store = np.load(tmp_path / "images.npy")
    assert store.dtype == kind
    exact = np.concatenate([read_case(it, DATA).images for it in cases])
    assert 0 < np.abs(as_images(store) - exact).max() <= 0.5 / 255 + 2**-24


def test_a_run_that_was_stopped_reads_only_what_is_missing(cases, tmp_path, monkeypatch, reads):
    count = storing.read_case

    def stop_at_the_fourth(case, data):
        if len(reads) == 3:
            raise KeyboardInterrupt
        return count(case, data)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "read_case", stop_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            stored(tmp_path / "stopped", cases)
    assert reads == ["0.nii.gz", "1.nii.gz", "2.nii.gz"]
    reads.clear()
    again = stored(tmp_path / "stopped", cases)
    assert reads == ["3.nii.gz", "4.nii.gz"]
    assert again == stored(tmp_path / "whole", cases)


def interrupted_at_the_end(folder, cases, monkeypatch):
    """Everything was read, and nothing finished."""

    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storing.GrowingStore, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            stored(folder, cases)


def test_a_scan_that_changed_meanwhile_is_read_again(cases, tmp_path, monkeypatch, reads):
    interrupted_at_the_end(tmp_path / "store", cases, monkeypatch)
    write(cases[1].scan, volume(77))
    os.utime(cases[1].scan, (1, 1))
    reads.clear()
    again = stored(tmp_path / "store", cases)
    assert reads == ["1.nii.gz"]
    assert again == stored(tmp_path / "new", cases)


@pytest.mark.parametrize(
    "changed", [{"image_size": (64, 32)}, {"store": "uint8"}, {"smallest_foreground": 0.1}]
)
def test_other_numbers_start_afresh(cases, tmp_path, monkeypatch, reads, changed):
    interrupted_at_the_end(tmp_path / "store", cases, monkeypatch)
    reads.clear()
    again = stored(tmp_path / "store", cases, replace(DATA, **changed))
    assert len(reads) == SCANS
    assert again == stored(tmp_path / "new", cases, replace(DATA, **changed))


def test_a_broken_volume_is_left_out_and_said(cases, tmp_path):
    whole = stored(tmp_path / "whole", [*cases[:2], *cases[3:]])
    cases[2].scan.write_bytes(cases[2].scan.read_bytes()[:200])
    said = []
    assert stored(tmp_path / "broken", cases, said=said) == whole
    assert said[0].startswith(f"skipped {cases[2].scan}: ")
    assert said[1:] == ["1 of 5 scans were skipped"]


def open_mortal(store, data):
    """A worker, in a process of its own, that a library ends over one scan."""
    reader = Reader(store, data)

    def read(job):
        if job.case.scan.name == "2.nii.gz":
            os.kill(os.getpid(), signal.SIGKILL)
        return reader(job)

    return read


def test_a_scan_over_which_a_process_dies_is_left_out_and_said(cases, tmp_path, monkeypatch):
    expected = stored(tmp_path / "whole", [*cases[:2], *cases[3:]])
    monkeypatch.setattr(storing, "FEW_BYTES", 0)
    monkeypatch.setattr(storing, "_open_apart", open_mortal)
    said = []
    assert stored(tmp_path / "store", cases, said=said) == expected
    assert "SIGKILL (is the file damaged?" in said[0]


def test_each_image_has_its_place_its_foreground_and_its_label(abnormal, tmp_path):
    _, found = stored(tmp_path, [abnormal])
    entry = found[abnormal.scan]
    assert entry.slices == list(range(8))
    np.testing.assert_allclose(entry.positions, (np.arange(8) + 0.5) / 8)
    # The block is half as high and half as wide as the slice: nothing is interpolated at its edge,
    # since 40 × 32 voxels become 32 × 32 pixels by rows of which no block's edge cuts one in two.
    inside = np.isin(np.arange(8), range(8)[BRAIN])
    np.testing.assert_allclose(entry.foreground, np.where(inside, 0.25, 0.0), atol=1 / 32)
    lesion = np.isin(np.arange(8), range(8)[LESION])
    assert entry.normal == (~lesion).tolist()


def test_slices_with_little_foreground_are_left_out_and_the_others_keep_their_numbers(
    abnormal, tmp_path
):
    _, found = stored(tmp_path, [abnormal], replace(DATA, smallest_foreground=0.1))
    entry = found[abnormal.scan]
    assert entry.slices == [2, 3, 4, 5]
    assert entry.normal == [True, False, False, True]
    np.testing.assert_allclose(entry.positions, (np.arange(2, 6) + 0.5) / 8)
    every = read_case(abnormal, DATA).images
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), every[BRAIN])


def test_a_scan_that_shows_nothing_is_left_out_and_said(cases, tmp_path):
    write(cases[0].scan, np.zeros(SHAPE, np.int16))
    said = []
    _, found = stored(tmp_path, cases, replace(DATA, smallest_foreground=0.1), said=said)
    assert cases[0].scan not in found
    assert "none of its 8 slices has a foreground of 0.1, the most is 0.000" in said[0]


@pytest.mark.parametrize("air", [0.0, 0.05, 0.3], ids=["black", "noise", "raised"])
def test_foreground_is_what_is_brighter_than_the_air_of_the_whole_scan(air):
    chance = np.random.default_rng(0)
    images = chance.uniform(0.9, 1.1, (3, 2, 16, 16)).astype(np.float32) * np.float32(air)
    for at, rows in ((1, 4), (2, 8)):  # the first slice is beyond the head
        images[at, :, :rows] = chance.uniform(0.6, 0.9, (2, rows, 16))
    assert foreground_shares(images).tolist() == [0.0, 0.25, 0.5]


def test_foreground_is_counted_in_all_slices_of_a_volume():
    volume = np.full((1, 1, 4, 16, 16), 0.02, np.float32)
    volume[0, 0, 2, :8] = 0.7
    assert foreground_shares(volume).tolist() == [0.125]


def test_a_scan_of_one_value_has_no_foreground():
    assert foreground_shares(np.full((2, 1, 8, 8), 0.4, np.float32)).tolist() == [0.0, 0.0]


def test_a_mask_of_another_size_is_said(abnormal, tmp_path):
    write(Path(abnormal.mask), np.zeros((8, 40, 30), np.int16))
    said = []
    assert stored(tmp_path, [abnormal], said=said)[1] == {}
    assert "is not of the scan's size" in said[0]


def test_a_mask_that_lies_elsewhere_is_said(abnormal, tmp_path):
    write_nifti(Path(abnormal.mask), np.ones(SHAPE, np.int16), (5.0, 1.0, 1.0))
    said = []
    assert stored(tmp_path, [abnormal], said=said)[1] == {}
    assert "lies elsewhere in the patient" in said[0]


def test_what_a_scan_was_read_with_is_said_and_the_scan_stored(cases, abnormal, tmp_path):
    several = np.stack([volume(0)] * 3, axis=-1)
    nibabel.save(nibabel.Nifti1Image(several.transpose(2, 1, 0, 3), np.eye(4)), cases[0].scan)
    write(Path(abnormal.mask), np.zeros(SHAPE, np.int16))
    said = []
    _, found = stored(tmp_path, [cases[0], abnormal], said=said)
    assert found.keys() == {cases[0].scan, abnormal.scan}
    assert said == [
        f"warning: {cases[0].scan}: it holds 3 volumes: the first was read",
        f"warning: {abnormal.scan}: it is abnormal, but its mask marks nothing: its slices count "
        "as normal",
    ]
