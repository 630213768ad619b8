"""--list: what a run would do, told without doing it; the run itself is the truth."""

import gzip
import json

import cv2
import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from infer.cli import app
from tests.infer.test_batch import report


def uad_infer(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def listed(folder, *arguments):
    done = uad_infer(folder, "--list", "--json", *arguments)
    return {record["scan"]: record for record in json.loads(done.stdout)}


@pytest.fixture
def ward(scans):
    """The tiny scans, and one of every other format."""
    np.save(scans / "array.npy", np.full((4, 40, 50), np.arange(50), np.float32))
    grey = np.full((40, 50), np.arange(90, 140), np.uint8)
    scans.joinpath("stack.tif").write_bytes(cv2.imencodemulti(".tif", [grey] * 3)[1].tobytes())
    cv2.imwrite(str(scans / "colour.bmp"), grey[..., np.newaxis] * np.uint8([0, 1, 0]))
    voxels = (
        np.full((20, 21, 5, 2), 30, np.int16) + np.arange(20, dtype=np.int16)[:, None, None, None]
    )
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), scans / "several.nii.gz")
    nibabel.save(nibabel.Nifti1Pair(voxels[..., 0], np.eye(4)), scans / "pair.img")
    return scans


def test_what_is_listed_is_what_is_scored(ward, tiny_model, tmp_path):
    (ward / "text.png").write_text("hello")
    (ward / "huge.npy").write_bytes((ward / "array.npy").read_bytes()[:200])
    (ward / "empty.nii").write_bytes(b"")
    found = listed(ward)
    uad_infer(ward, "--model", tiny_model, "--out", tmp_path / "out", "--quiet")
    rows = report(tmp_path / "out")
    assert list(found) == list(rows)
    words = {"ok": "score", "failed": "refuse"}
    for scan, row in rows.items():
        assert found[scan]["status"] == words[row["status"]], scan
        assert found[scan]["error"] == row["error"]
        assert found[scan]["warning"] == row["warning"]


def test_each_scan_is_listed_in_one_part(ward):
    parts = [set(listed(ward, "--part", f"{at}/3")) for at in (1, 2, 3)]
    assert set.union(*parts) == set(listed(ward))
    assert sum(map(len, parts)) == len(listed(ward))


def test_files_that_would_be_left_out_are_counted_beside_the_list(ward):
    (ward / "brain.nrrd").write_bytes(b"NRRD")
    for how in ((), ("--json",)):
        done = uad_infer(ward, "--list", *how)
        assert done.stderr == ("1 file was left out, it is no scan known here: 1 .nrrd\n")


def test_shapes_are_those_of_the_files(ward):
    found = listed(ward)
    said = {scan: (it["format"], it["shape"], it["kind"]) for scan, it in found.items()}
    assert said["array.npy"] == ("NPY", [4, 40, 50], "float32")
    assert said["stack.tif"] == ("TIFF", [3, 40, 50], "uint8")
    assert said["several.nii.gz"] == ("NIfTI", [20, 21, 5], "int16")
    assert said["pair.hdr"] == ("NIfTI", [20, 21, 5], "int16")
    assert said["ward/healthy001.jpg"] == ("JPEG", [40, 50], "uint8")
    assert (said["colour.bmp"][0], found["colour.bmp"]["colours"]) == ("BMP", 3)


def test_nothing_is_written_and_no_voxel_is_read(ward, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = (ward / "several.nii.gz").read_bytes()
    header = gzip.decompress(whole)[:352]
    (ward / "several.nii.gz").write_bytes(gzip.compress(header))  # not one voxel is left
    before = sorted(tmp_path.rglob("*"))
    assert listed(ward)["several.nii.gz"]["status"] == "score"
    assert sorted(tmp_path.rglob("*")) == before


def test_the_table_has_a_line_for_each_scan_and_counts_them(ward):
    (ward / "text.png").write_text("hello")
    done = uad_infer(ward, "--list")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert lines[-1] == "13 scans: 12 to score, 1 refused"
    assert len(lines) == 1 + 13 + 1
    (refused,) = [line for line in lines if line.startswith("refuse")]
    assert "text.png is not a PNG" in refused
    assert any("20 × 21 × 5 int16" in it and "the first was read" in it for it in lines)


def test_all_fine_is_0(scans):
    assert uad_infer(scans, "--list").exit_code == 0


def test_choices_are_listed_as_they_would_be_scored(ward):
    found = listed(ward, "--volume", "5", "--max-voxels", "2100")
    assert "no volume 5" in found["several.nii.gz"]["error"]
    assert "claims 4 × 40 × 50 voxels" in found["array.npy"]["error"]
    assert "claims 40 × 50 voxels of 3 colours" in found["colour.bmp"]["error"]
    assert found["healthy002.png"]["status"] == "score"


def test_names_cannot_steer_a_terminal(scans):
    (scans / "a\x1b[2J\n.png").write_bytes((scans / "healthy002.png").read_bytes())
    done = uad_infer(scans, "--list")
    assert "\x1b" not in done.stdout
    assert r"a\x1b[2J\n.png" in done.stdout
    assert "a\x1b[2J\n.png" in listed(scans)


def test_json_alone_is_wrong_use(scans, tiny_model):
    assert uad_infer(scans, "--json", "--model", tiny_model).exit_code == 2
