"""A folder of DICOM in, results out: names, failures, resume, and no patient anywhere."""

import csv
import gzip
import io
import subprocess
import sys

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from infer import batch
from infer.cli import app
from infer.errors import UnknownChoiceError
from tests.infer.dicom_files import SECRETS, base, enhanced, head, saved, series, with_pixels
from tests.infer.test_batch import report, run


def brains(shape=(6, 40, 36), seed=0):
    """Soft tissue with a bright square in one slice, as stored for an intercept of −1024."""
    rng = np.random.default_rng(seed)
    stored = rng.normal(1050, 2, shape).round().astype(int)
    stored[2, 12:18, 20:26] = 1100
    return stored


@pytest.fixture
def ward(tmp_path):
    """What a hospital's folder holds: a good series, a multi-frame file, and three that fail."""
    folder = tmp_path / "ward"
    series(folder / "bed1", brains(), name="IM{:03}")
    enhanced(folder / "bed2.dcm", brains() - 1024)
    uid = generate_uid()
    series(folder / "bed3", brains()[:2], series=uid)
    scout = series(folder / "bed3", brains()[:1], series=uid, name="scout",
                   directions=((0, 1, 0), (0, 0, -1)))  # fmt: skip
    saved(base(modality="SR"), folder / "bed4/report.dcm")
    dataset = with_pixels(base(), brains()[0])
    dataset.RescaleSlope = "1234567890123456"
    wrong = saved(dataset, folder / "bed5.dcm")  # a name where a number belongs
    wrong.write_bytes(wrong.read_bytes().replace(b"1234567890123456", b"Kowalczyk^Zbigni"))
    (folder / "bed6.dcm").write_bytes((folder / "bed2.dcm").read_bytes()[:3000])
    assert scout
    return folder


def test_every_series_has_a_row_with_its_mask_or_the_reason_why_not(ward, tiny_model, tmp_path):
    counts = run(ward, tiny_model, tmp_path / "out")
    rows = report(tmp_path / "out")
    assert (counts.scans, counts.ok, counts.failed) == (6, 2, 4)
    errors = {scan: row["error"] for scan, row in rows.items() if row["status"] == "failed"}
    assert set(errors) == {"bed3", "bed4/report.dcm", "bed5.dcm", "bed6.dcm"}
    assert "different frames of reference" in errors["bed3"] or "orientation" in errors["bed3"]
    assert "has no pixel data" in errors["bed4/report.dcm"]
    for scan in ("bed1", "bed2.dcm"):
        mask = nibabel.load(tmp_path / "out" / rows[scan]["mask"])
        assert mask.shape == (36, 40, 6)  # column, row, slice
        found = np.argwhere(np.asarray(mask.dataobj))
        assert {tuple(at) for at in found[:, 2:]} == {(2,)}
        assert found[:, 0].min() >= 17
        assert found[:, 0].max() <= 28
        assert rows[scan]["worst_slice"] == rows[scan]["peak_z"] == "2"
        volume_ml = len(found) * 0.5 * 0.75 * 3 / 1000
        assert float(rows[scan]["anomaly_volume_ml"]) == pytest.approx(volume_ml, rel=1e-4)


def named_in(written):
    """Which of these contents hold something of a patient, and what."""
    return [
        (name, secret)
        for name, content in written.items()
        for secret in (*SECRETS.values(), "Kowalczyk", "Zbigni")
        if secret.encode() in content or secret.encode("utf-16-le") in content
    ]


def written_under(out):
    files = (path for path in out.rglob("*") if path.is_file())
    contents = {path.name: path.read_bytes() for path in files}
    return {
        name: gzip.decompress(content) if name.endswith(".gz") else content
        for name, content in contents.items()
    }


@pytest.mark.parametrize("few_chunks", [0, 1000], ids=["processes", "threads"])
def test_nothing_that_is_written_or_printed_names_a_patient(
    ward, tiny_model, tmp_path, capfd, monkeypatch, few_chunks
):
    monkeypatch.setattr(batch, "FEW_CHUNKS", few_chunks)
    out = tmp_path / "out"
    run(ward, tiny_model, out, overlays="all", maps=True, dicom_seg=True)
    printed = capfd.readouterr()
    written = written_under(out)
    assert {"bed1.dcm", "report.csv", "run.json", "bed1.nii.gz", "bed1.png"} <= written.keys()
    said = {"stdout": printed.out.encode(), "stderr": printed.err.encode()}
    assert not named_in(written | said)


def test_nothing_that_the_command_prints_or_merges_names_a_patient(ward, tiny_model, tmp_path):
    out, merged = tmp_path / "out", tmp_path / "all"
    said = {
        arguments: CliRunner().invoke(app, list(map(str, arguments)))
        for arguments in (
            (ward, "--model", tiny_model, "--out", out),
            (ward, "--list"),
            (ward, "--list", "--json"),
            ("--merge", out, "--out", merged),
        )
    }
    assert all("bed1" in done.output or "6 scans" in done.output for done in said.values())
    assert "report.csv" in written_under(merged)
    assert not named_in(written_under(merged))
    assert not named_in({name: done.output.encode() for name, done in said.items()})


def test_identifiers_are_kept_where_that_is_asked_for(ward, tiny_model, tmp_path):
    run(ward, tiny_model, tmp_path / "out", dicom_seg=True, keep_identifiers=True)
    kept = pydicom.dcmread(tmp_path / "out/segmentations/bed1.dcm")
    assert kept.PatientName == SECRETS["PatientName"]
    with pytest.raises(UnknownChoiceError):
        run(ward, tiny_model, tmp_path / "other", keep_identifiers=True)


def test_a_segmentation_lies_beside_the_mask_and_holds_the_same_voxels(ward, tiny_model, tmp_path):
    out = tmp_path / "out"
    run(ward, tiny_model, out, dicom_seg=True)
    mask = np.asarray(nibabel.load(out / "masks/bed1.nii.gz").dataobj)
    content = io.BytesIO((out / "segmentations/bed1.dcm").read_bytes())
    segmentation = highdicom.seg.Segmentation.from_dataset(pydicom.dcmread(content))
    sources = [pydicom.dcmread(path) for path in (ward / "bed1").iterdir()]
    sources.sort(key=lambda dataset: dataset.ImagePositionPatient[2])
    planes = segmentation.get_pixels_by_source_instance(
        [dataset.SOPInstanceUID for dataset in sources],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    np.testing.assert_array_equal(planes.transpose(2, 1, 0), mask)


def test_where_a_segmentation_cannot_be_made_nothing_else_is_left_lying(tiny_model, tmp_path):
    dataset = with_pixels(base(modality="DX"), head(shape=(1, 40, 36))[0])
    saved(dataset, tmp_path / "scans/dx.dcm")
    run(tmp_path / "scans", tiny_model, tmp_path / "out", dicom_seg=True, maps=True)
    row = report(tmp_path / "out")["dx.dcm"]
    assert row["status"] == "failed"
    assert "no DICOM Segmentation can be laid over it" in row["error"]
    assert not any((tmp_path / "out" / name).exists() for name in ("masks", "maps"))


def test_a_series_is_scored_again_only_if_one_of_its_files_has_changed(ward, tiny_model, tmp_path):
    out = tmp_path / "out"
    run(ward, tiny_model, out)
    assert run(ward, tiny_model, out).resumed == 2
    path = ward / "bed1/IM002"
    dataset = pydicom.dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(path)
    assert run(ward, tiny_model, out).resumed == 1
    assert run(ward, tiny_model, out, dicom_seg=True).resumed == 0
    assert run(ward, tiny_model, out, dicom_seg=True).resumed == 2
    (out / "segmentations/bed1.dcm").unlink()
    assert run(ward, tiny_model, out, dicom_seg=True).resumed == 1


def test_a_single_file_may_be_scored(ward, tiny_model, tmp_path):
    run(ward / "bed2.dcm", tiny_model, tmp_path / "out")
    with (tmp_path / "out/report.csv").open(newline="") as text:
        assert [row["scan"] for row in csv.DictReader(text)] == ["bed2.dcm"]


def test_pictures_and_nifti_are_scored_without_loading_pydicom(scans, tiny_model, tmp_path):
    script = (
        "import sys; from infer.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        "sys.exit(code or 'pydicom' in sys.modules)"
    )
    arguments = [scans, "--model", tiny_model, "--out", tmp_path / "out"]
    done = subprocess.run([sys.executable, "-c", script, *map(str, arguments)], check=False)
    assert done.returncode == 0


def test_tiny_radiographs_among_pictures_are_scored(tiny_model, tmp_path):
    dataset = with_pixels(base(modality="DX"), head(shape=(1, 40, 36))[0])
    saved(dataset, tmp_path / "scans/dx.dcm")
    run(tmp_path / "scans", tiny_model, tmp_path / "out")
    row = report(tmp_path / "out")["dx.dcm"]
    assert (row["status"], row["slices"], row["anomaly_volume_ml"]) == ("ok", "1", "")
    assert nibabel.load(tmp_path / "out" / row["mask"]).shape == (36, 40, 1)
