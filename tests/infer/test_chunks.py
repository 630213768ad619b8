"""Scans in, chunks out: in order, none lost, none too large."""

import cv2
import nibabel
import numpy as np
import pytest

from infer import chunks
from infer.chunks import in_chunks
from infer.readers import reading
from infer.worker import Task


def chunks_of(folder, names, *, size):
    tasks = [Task(name, folder / name, "", "", "") for name in names]
    return [[task.scan for task in chunk] for chunk in in_chunks(tasks, size=size)]


def test_what_cannot_be_weighed_is_a_chunk_by_itself(tmp_path):
    names = ["a.png", "b.png", "c.nii.gz", "d.png", "e.png", "f.nii"]
    found = chunks_of(tmp_path, names, size=3)
    assert found == [["c.nii.gz"], ["a.png", "b.png", "d.png"], ["f.nii"], ["e.png"]]


def test_small_volumes_share_a_chunk_and_large_ones_do_not(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 4 * 1000)
    slices = {"a.nii": 2, "b.nii.gz": 2, "large.nii.gz": 11, "c.nii.gz": 8, "d.nii.gz": 1}
    for name, count in slices.items():
        nibabel.save(
            nibabel.Nifti1Image(np.zeros((10, 10, count), np.int16), None), tmp_path / name
        )
    found = chunks_of(tmp_path, slices, size=16)
    assert found == [["large.nii.gz"], ["a.nii", "b.nii.gz", "c.nii.gz"], ["d.nii.gz"]]


@pytest.mark.parametrize("ending", [".png", ".jpg", ".npy"])
def test_large_pictures_are_read_fewer_at_a_time_however_well_they_are_packed(
    tmp_path, monkeypatch, ending
):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 4 * 32 * 32 * 3 // 2)
    names = [f"{at}{ending}" for at in range(4)]
    for name in names:
        black = np.zeros((32, 32), np.uint8)
        if ending == ".npy":
            np.save(tmp_path / name, black)
        else:
            cv2.imwrite(str(tmp_path / name), black)
    assert list(map(len, chunks_of(tmp_path, names, size=16))) == [2, 2]


def test_what_a_reader_trips_over_is_weighed_all_the_same(tmp_path, monkeypatch):
    """Its row says what it was; the run goes on."""

    def trip(source, choice):
        raise RuntimeError("something that nobody has thought of")

    monkeypatch.setattr(reading, "claim_of", trip)
    monkeypatch.setattr(chunks, "claim_of", trip)
    names = ["a.npy", "b.tif", "c.png"]
    for name in names:
        (tmp_path / name).write_bytes(bytes(60))
    assert chunks_of(tmp_path, names, size=16) == [names]
