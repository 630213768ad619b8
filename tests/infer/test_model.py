"""`infer.load`: a program is told what `uad-infer` writes; arrays are taken as files are."""

import csv
import subprocess
import sys
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from infer import load
from infer.cli import app
from infer.errors import BadModelError, UnknownChoiceError, UnreadableScanError
from tests.infer.tiny_model import MANIFEST, write_tiny_model


@pytest.fixture
def model(tiny_model):
    return load(tiny_model, device="cpu")


@pytest.fixture
def reported(scans, tiny_model, tmp_path):
    """Scan → its row, mask and map as `uad-infer` writes them."""
    out = tmp_path / "out"
    options = ["--model", str(tiny_model), "--out", str(out), "--device", "cpu", "--maps"]
    assert CliRunner().invoke(app, [str(scans), *options, "--quiet"]).exit_code == 0
    with (out / "report.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    return {row["scan"]: (row, *arrays(out, row["mask"])) for row in rows}


def arrays(out, mask):
    if mask.endswith(".nii.gz"):
        kinds = ("masks", "maps")
        return [np.asarray(nibabel.load(out / mask.replace("masks", it)).dataobj) for it in kinds]
    found = next((out / "maps").glob(mask.removeprefix("masks/").split(".")[0] + ".*"))
    return [cv2.imread(str(it), cv2.IMREAD_UNCHANGED) for it in (out / mask, found)]


def cell(value):
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def test_every_finding_is_what_the_command_reports(scans, model, reported):
    for scan, (row, mask, map_) in reported.items():
        found = model.score(scans / scan)
        for name in ("score", "threshold", "normal_percentile", "anomalous", "peak_value"):
            assert cell(getattr(found, name)) == row[name]
        for name in ("lesions", "worst_slice", "anomaly_volume_ml"):
            assert cell(getattr(found, name)) == row[name]
        assert len(found.slice_scores) == int(row["slices"])
        np.testing.assert_array_equal(found.mask, mask > 0)
        np.testing.assert_array_equal(found.map, map_)


def test_arrays_lie_on_the_grid_of_the_file(scans, model):
    found = model.score(str(scans / "lesion.nii.gz"))
    shape = nibabel.load(scans / "lesion.nii.gz").shape
    assert found.map.shape == found.mask.shape == shape
    assert (found.map.dtype, found.mask.dtype) == (np.float32, np.bool_)
    assert found.map[found.peak] == found.map.max() == np.float32(found.peak_value)
    assert found.slice_scores.argmax() == found.worst_slice == 2
    assert found.map[..., 2].max() == found.map.max()  # its last axis is the model's


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [0, 3, 4])
def test_a_picture_in_an_array_is_the_same_picture_in_a_file(
    model, tmp_path, dtype, colours, order
):
    shape = (40, 50, colours) if colours else (40, 50)
    noise = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype)
    written = noise[..., [2, 1, 0, *range(3, colours)]] if colours else noise
    cv2.imwrite(str(tmp_path / "a.png"), written)
    of_file, of_array = (
        model.score(it)
        for it in (tmp_path / "a.png", noise.astype(noise.dtype.newbyteorder(order)))
    )
    assert of_array.score == of_file.score
    np.testing.assert_array_equal(of_array.map, of_file.map)
    assert of_array.map.shape == (40, 50)


def test_volume_and_max_voxels_are_the_commands(model, tmp_path):
    several = np.random.default_rng(0).normal(30, 5, (20, 21, 5, 2)).astype(np.float32)
    for name, voxels in (("several.nii", several), ("second.nii", several[..., 1])):
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / name)
    found = model.score(tmp_path / "several.nii", volume=1)
    assert found.score == model.score(tmp_path / "second.nii").score
    assert found.score != model.score(tmp_path / "several.nii").score
    with pytest.raises(UnreadableScanError, match="more than can be scored"):
        model.score(tmp_path / "several.nii", max_voxels=2099)
    assert model.score(tmp_path / "several.nii", max_voxels=2100).warnings
    with pytest.raises(UnknownChoiceError, match="volume counts from 0"):
        model.score(tmp_path / "several.nii", volume=-1)


def test_a_volume_in_an_array_is_the_same_volume_in_a_file(model, tmp_path):
    voxels = np.random.default_rng(0).normal(20, 5, (5, 26, 22)).astype(np.float32)
    voxels[3, 6:11, 14:19] = 80
    # The array runs towards S, P and L; a NIfTI file says so with i to L, j to P, k to S.
    affine = np.diag([-0.5, -0.5, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 1, 0), affine), tmp_path / "a.nii.gz")
    of_file = model.score(tmp_path / "a.nii.gz")
    of_array = model.score(voxels, spacing_mm=(3.0, 0.5, 0.5))
    assert of_array.score == of_file.score
    np.testing.assert_array_equal(of_array.map, of_file.map.transpose(2, 1, 0))
    assert of_array.peak == of_file.peak[::-1]
    assert of_array.anomaly_volume_ml == of_file.anomaly_volume_ml > 0
    assert of_array.worst_slice == of_file.worst_slice == 3


def test_integers_of_a_scanner_are_values_and_no_picture(model):
    voxels = np.random.default_rng(0).integers(-20, 90, (4, 30, 30), dtype=np.int16)
    assert model.score(voxels).score == model.score(voxels.astype(np.float64)).score
    assert model.score(voxels[0]).mask.shape == (30, 30)


def test_the_array_is_left_untouched(model):
    voxels = np.random.default_rng(0).normal(20, 5, (4, 30, 30)).astype(np.float32)
    before = voxels.copy()
    found = model.score(voxels)
    assert not np.shares_memory(found.map, voxels)
    np.testing.assert_array_equal(voxels, before)


def test_thresholds_may_be_given(scans, tiny_model):
    strict = load(tiny_model, device="cpu", threshold=0.0, map_threshold=1e9)
    found = strict.score(scans / "healthy002.png")
    assert (found.anomalous, found.threshold, found.mask.any()) == (True, 0.0, False)


def test_a_threshold_that_is_no_number_is_refused(tiny_model):
    with pytest.raises(UnknownChoiceError, match="threshold must be a finite number, got nan"):
        load(tiny_model, device="cpu", threshold=float("nan"))


def test_a_threshold_that_decides_nothing_is_refused(tmp_path):
    by_mask = write_tiny_model(tmp_path / "mask.onnx", replace(MANIFEST, anomalous_by="mask"))
    with pytest.raises(UnknownChoiceError, match="anomalous by its mask"):
        load(by_mask, device="cpu", threshold=0.5)
    assert load(by_mask, device="cpu", map_threshold=0.5).manifest.map_threshold.value == 0.5


def test_a_model_says_what_it_is_and_what_it_runs_on(model):
    assert model.manifest.method == "blur"
    assert (model.device.asked, model.device.got) == ("cpu", "cpu")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 3, 4, 5), np.float32), "is no scan"),
        (np.zeros(9, np.float32), "is no scan"),
        (np.zeros((9, 9), np.complex64), "is no scan"),
        (np.zeros((9, 9), bool), "is no scan"),
        (np.zeros((0, 9), np.float32), "0 voxels"),
        (np.broadcast_to(np.float32(0), (2**11, 2**10, 2**10)), "2,147,483,648 voxels"),
        (np.full((9, 9), np.nan, np.float32), "not finite"),
    ],
)
def test_arrays_that_are_no_scans_are_refused(model, array, words):
    with pytest.raises(UnreadableScanError, match=words):
        model.score(array)


@pytest.mark.parametrize("spacing_mm", [(1.0,), (1.0, 1.0, 0.0), (1.0, 1.0, float("nan"))])
def test_senseless_spacings_are_refused(model, spacing_mm):
    with pytest.raises(UnreadableScanError, match="spacing_mm"):
        model.score(np.zeros((9, 9, 9), np.float32), spacing_mm=spacing_mm)


def test_what_cannot_be_read_is_an_error_with_a_hint(model, tiny_model, tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    with pytest.raises(UnreadableScanError, match=r"a\.png"):
        model.score(tmp_path / "a.png")
    with pytest.raises(BadModelError, match="cannot be read"):
        load(tmp_path / "nowhere.onnx")
    with pytest.raises(UnknownChoiceError, match="gpu"):
        load(tiny_model, device="gpu")


def test_importing_it_is_light():
    script = (
        "import sys; before = set(sys.modules); from infer import load\n"
        "print(*(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    heavy = {"numpy", "cv2", "onnxruntime", "msgspec", "typer", "infer.model"}
    assert not heavy & set(done.stdout.split())
