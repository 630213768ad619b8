"""Damaged and deceitful files: one failed row each, in words, and no other scan is harmed."""

import csv
import gzip
import shutil
import struct
import subprocess
import sys

import cv2
import nibabel
import numpy as np
import pytest

from tests.infer.tiny_model import write_tiny_model, write_tiny_scans


def a_volume(shape):
    return nibabel.Nifti1Image(np.zeros(shape, np.float32), np.eye(4))


def truncated(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def truncated_png(path):
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8))
    truncated(path)


def truncated_nifti(path):
    noise = np.random.default_rng(0).random((20, 20, 6)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(noise, np.eye(4)), path)
    truncated(path)


def not_finite(value):
    def write(path):
        voxels = np.zeros((20, 20, 6), np.float32)
        voxels[3, 4, 5] = value
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)

    return write


def deceitful_header(path):
    header = bytearray(a_volume((4, 4, 4)).to_bytes())
    struct.pack_into("<8h", header, 40, 3, 32000, 32000, 32000, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(bytes(header)))


def gigantic_png(path):
    cv2.imwrite(str(path), np.zeros((4, 4), np.uint8))
    content = bytearray(path.read_bytes())
    struct.pack_into(">II", content, 16, 2**30, 2**30)
    path.write_bytes(content)


HOSTILE = {
    "truncated.png": truncated_png,
    "truncated.nii.gz": truncated_nifti,
    "empty.png": lambda path: path.write_bytes(b""),
    "empty.nii.gz": lambda path: path.write_bytes(b""),
    "text.png": lambda path: path.write_text("patient: fine\n"),
    "text.nii": lambda path: path.write_text("patient: fine\n"),
    "nan.nii.gz": not_finite(np.nan),
    "infinite.nii.gz": not_finite(np.inf),
    "no_voxels.nii.gz": lambda path: nibabel.save(a_volume((20, 0, 6)), path),
    "five_axes.nii.gz": lambda path: nibabel.save(a_volume((8, 8, 3, 2, 2)), path),
    "32000.nii.gz": deceitful_header,
    "gigantic.png": gigantic_png,
    "link_to_nothing.png": lambda path: path.symlink_to("nowhere.png"),
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """A run over healthy and hostile files, and one over the healthy ones alone."""
    place = tmp_path_factory.mktemp("hostile")
    model = write_tiny_model(place / "tiny.onnx")
    healthy = write_tiny_scans(place / "healthy")
    mixed = place / "mixed"
    shutil.copytree(healthy, mixed)
    for name, write in HOSTILE.items():
        write(mixed / name)
    command = [sys.executable, "-m", "infer.cli", "--model", str(model), "--batch-size", "4"]
    alone = [*command, str(healthy), "--out", str(place / "alone")]
    subprocess.run(alone, check=True, capture_output=True)
    done = subprocess.run(
        [*command, str(mixed), "--out", str(place / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, rows_of(place / "out"), rows_of(place / "alone"), place


def rows_of(out):
    with (out / "report.csv").open(newline="") as text:
        return {row["scan"]: {**row, "seconds": ""} for row in csv.DictReader(text)}


@pytest.mark.parametrize("name", HOSTILE)
def test_each_is_one_failed_row_with_a_sentence(outcome, name):
    row = outcome[1][name]
    assert row["status"] == "failed"
    assert len(row["error"].split()) > 4
    assert "unexpected" not in row["error"]
    assert not row["mask"]


def test_the_other_scans_are_unharmed(outcome):
    _, rows, alone, place = outcome
    assert {scan: row for scan, row in rows.items() if scan not in HOSTILE} == alone
    for row in alone.values():
        mask = (place / "out" / row["mask"]).read_bytes()
        assert mask == (place / "alone" / row["mask"]).read_bytes()


def test_the_exit_code_says_that_some_failed(outcome):
    assert outcome[0].returncode == 1


def test_nothing_unexpected_happened(outcome):
    done, _, _, place = outcome
    assert done.stderr == ""
    assert not (place / "out/uad-infer.log").exists()


def test_nothing_is_written_for_what_failed(outcome):
    _, rows, _, place = outcome
    masks = {str(p.relative_to(place / "out")) for p in (place / "out/masks").rglob("*.*")}
    assert masks == {row["mask"] for row in rows.values() if row["mask"]}
