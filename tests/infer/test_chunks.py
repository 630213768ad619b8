"""Scans in, chunks out: in order, none lost, none too large."""

import nibabel
import numpy as np

from infer import chunks
from infer.chunks import in_chunks
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


def test_large_pictures_are_read_fewer_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 100)
    tasks = [Task(f"{at}.png", tmp_path / f"{at}.png", "", "", "") for at in range(4)]
    for task in tasks:
        task.path.write_bytes(bytes(60))
    assert [len(chunk) for chunk in in_chunks(tasks, size=16)] == [2, 2]
