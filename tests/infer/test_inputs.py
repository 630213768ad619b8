"""Formats other than one picture or volume a file: from the folder to the report and the mask."""

import cv2
import nibabel
import numpy as np
import pytest

from infer.errors import BadOutputError
from tests.infer.test_batch import report, run


def slices(count=5):
    """Noise with a bright square in the slice 3."""
    stack = np.random.default_rng(0).normal(90, 6, (count, 40, 50))
    stack[3, 12:18, 30:36] = 250
    return stack.round().clip(0, 255)


def pages(path):
    return np.stack(cv2.imreadmulti(str(path), flags=cv2.IMREAD_UNCHANGED)[1])


def test_a_tiff_of_several_pages_is_a_volume_in_its_own_words(tmp_path, tiny_model):
    (tmp_path / "scans").mkdir()
    stack = slices().astype(np.uint8)
    (tmp_path / "scans/a.tif").write_bytes(cv2.imencodemulti(".tif", list(stack))[1].tobytes())
    run(tmp_path / "scans", tiny_model, tmp_path / "out", maps=True, overlays="all")
    row = report(tmp_path / "out")["a.tif"]
    assert (row["mask"], row["slices"], row["worst_slice"]) == ("masks/a.tif", "5", "3")
    assert row["peak_z"] == "3"
    assert 30 <= int(row["peak_x"]) < 36
    assert 12 <= int(row["peak_y"]) < 18
    mask = pages(tmp_path / "out/masks/a.tif")
    assert mask.shape == stack.shape
    assert int(row["anomaly_area_px"]) == np.count_nonzero(mask) > 0
    assert row["anomaly_volume_ml"] == ""
    assert mask[int(row["peak_z"]), int(row["peak_y"]), int(row["peak_x"])] == 255
    assert pages(tmp_path / "out/maps/a.tif").dtype == np.float32


def test_an_array_gives_what_the_same_voxels_give_as_nifti(tmp_path, tiny_model):
    (tmp_path / "scans").mkdir()
    voxels = slices().astype(np.float32) * 80 / 255
    np.save(tmp_path / "scans/a.npy", voxels)
    turned = np.diag([-1.0, -1, 1, 1])  # first axis to the left, second to the back
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0), turned), tmp_path / "scans/b.nii")
    run(tmp_path / "scans", tiny_model, tmp_path / "out", maps=True)
    rows = report(tmp_path / "out")
    same = ("score", "peak_x", "peak_y", "peak_z", "peak_value", "lesions", "worst_slice")
    assert [rows["a.npy"][it] for it in same] == [rows["b.nii"][it] for it in same]
    nifti = np.asarray(nibabel.load(tmp_path / "out/masks/b.nii.nii.gz").dataobj)
    np.testing.assert_array_equal(np.load(tmp_path / "out/masks/a.npy"), nifti.transpose(2, 1, 0))
    assert np.load(tmp_path / "out/maps/a.npy").shape == voxels.shape


def test_a_list_is_scored_with_a_failed_row_for_what_is_missing(scans, tiny_model, tmp_path):
    (scans / "list.txt").write_text("lesion000.png\nward/lesion003.png\ngone.png\n")
    counts = run(scans / "list.txt", tiny_model, tmp_path / "out")
    assert (counts.scans, counts.ok, counts.failed) == (3, 2, 1)
    rows = report(tmp_path / "out")
    assert "gone.png could not be opened" in rows["gone.png"]["error"]
    run(scans, tiny_model, tmp_path / "whole")
    other = report(tmp_path / "whole")["ward/lesion003.png"]
    assert rows["ward/lesion003.png"]["score"] == other["score"]


def test_a_list_of_results_cannot_be_scored_into_them(scans, tiny_model, tmp_path):
    out = tmp_path / "out"
    run(scans, tiny_model, out)
    (tmp_path / "list.txt").write_text("out/masks/lesion000.png\n")
    with pytest.raises(BadOutputError, match="lie among them"):
        run(tmp_path / "list.txt", tiny_model, out)


def test_a_changed_half_of_a_pair_is_scored_again(tmp_path, tiny_model):
    scan = tmp_path / "scans/a.img"
    scan.parent.mkdir()
    voxels = slices().transpose(2, 1, 0).astype(np.int16)
    nibabel.save(nibabel.Nifti1Pair(voxels, np.eye(4)), scan)
    assert run(scan.parent, tiny_model, tmp_path / "out").ok == 1
    assert run(scan.parent, tiny_model, tmp_path / "out").resumed == 1
    scan.write_bytes(bytes(scan.stat().st_size))
    assert run(scan.parent, tiny_model, tmp_path / "out").resumed == 0


def test_another_volume_is_another_result_and_the_row_says_which(tmp_path, tiny_model):
    (tmp_path / "scans").mkdir()
    voxels = np.stack([np.full((20, 21, 5), 30.0), slices().T[:20, :21]], axis=-1)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "scans/a.nii.gz")
    run(tmp_path / "scans", tiny_model, tmp_path / "out")
    assert "the first was read" in report(tmp_path / "out")["a.nii.gz"]["warning"]
    counts = run(tmp_path / "scans", tiny_model, tmp_path / "out", volume=1)
    assert counts.resumed == 0
    assert "number 1, counted from 0" in report(tmp_path / "out")["a.nii.gz"]["warning"]


def test_a_scan_that_is_too_large_is_a_row_and_the_others_go_on(scans, tiny_model, tmp_path):
    counts = run(scans, tiny_model, tmp_path / "out", max_voxels=40 * 50)
    assert (counts.ok, counts.failed) == (6, 1)
    assert "--max-voxels" in report(tmp_path / "out")["lesion.nii.gz"]["error"]
