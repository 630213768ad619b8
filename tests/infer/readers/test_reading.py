"""Which files of a folder are scans, and who reads them."""

import os

import numpy as np
import pytest

from infer.digest import digest_of
from infer.errors import UnreadableScanError
from infer.output_folder import JOURNAL, MASKS, OVERLAYS
from infer.readers import find_scans, read, read_with_digest, reading
from infer.readers.choice import USUAL


def make(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def found(root):
    return [path.relative_to(root).as_posix() for path in find_scans(root)]


def test_scans_are_found_at_every_depth_sorted_and_by_ending(tmp_path):
    make(tmp_path, "b/z.nii.gz", "b/a.NII", "a.png", "c.JPeG", "c.txt", "d/e/f/g.tiff", "h.gz")
    assert found(tmp_path) == ["a.png", "b/a.NII", "b/z.nii.gz", "c.JPeG", "d/e/f/g.tiff"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    make(tmp_path, "._a.png", ".cache/b.png", "c.png")
    assert found(tmp_path) == ["c.png"]


def test_masks_and_overlays_of_an_earlier_run_are_no_scans(tmp_path):
    make(tmp_path, "a.png", f"out/{JOURNAL}", f"out/{MASKS}/a.png", f"out/{OVERLAYS}/a.png")
    make(tmp_path, "study/masks/b.png")  # of somebody else
    assert found(tmp_path) == ["a.png", "study/masks/b.png"]


def test_loops_of_links_end(tmp_path):
    make(tmp_path, "scans/a/b.png", "neighbour.png")
    (tmp_path / "scans/a/again").symlink_to(tmp_path / "scans")
    (tmp_path / "scans/up").symlink_to(tmp_path)
    (tmp_path / "scans/itself").symlink_to("itself")
    assert found(tmp_path / "scans") == ["a/b.png"]


def test_a_linked_folder_elsewhere_is_followed_once(tmp_path):
    make(tmp_path, "elsewhere/a.png", "scans/b.png")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "scans/one").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "scans/two").symlink_to(tmp_path / "elsewhere")
    assert found(tmp_path / "scans") == ["b.png", "one/a.png"]


def test_a_link_into_a_hidden_folder_is_followed_for_nobody_else_goes_there(tmp_path):
    make(tmp_path, "scans/.store/v1/a.png", "scans/.store/v1/deep/b.png", "scans/c.png")
    (tmp_path / "scans/ct").symlink_to(".store/v1")
    (tmp_path / "scans/ct2").symlink_to(".store/v1")
    assert found(tmp_path / "scans") == ["c.png", "ct/a.png", "ct/deep/b.png"]


def test_a_pipe_is_no_scan_and_a_broken_link_is_one_that_cannot_be_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "broken.png").symlink_to("nowhere")
    assert found(tmp_path) == ["broken.png"]
    with pytest.raises(UnreadableScanError, match=r"broken\.png could not be opened"):
        read(tmp_path / "broken.png")


def test_an_unknown_ending_is_refused_with_the_known_ones(tmp_path):
    make(tmp_path, "a.mha")
    with pytest.raises(UnreadableScanError) as caught:
        read(tmp_path / "a.mha")
    assert ".nii.gz" in caught.value.hint


def test_a_single_file_is_its_own_list(tmp_path):
    make(tmp_path, "a.png")
    assert find_scans(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_a_scan_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    np.save(path, np.full((4, 5), 30.0))
    digest = reading.digest_of_scan

    def meanwhile(source):
        np.save(path, np.full((4, 6), 30.0))
        return digest(source)

    assert read_with_digest(path, USUAL)[1] == digest_of(path)
    monkeypatch.setattr(reading, "digest_of_scan", meanwhile)
    with pytest.raises(UnreadableScanError, match=r"a\.npy was changed while it was read"):
        read_with_digest(path, USUAL)
