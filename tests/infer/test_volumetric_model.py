"""`uad-infer` with a model of whole volumes: what it marks lies where the lesion lies."""

import csv
import itertools
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from infer import load
from infer.cli import app
from infer.describe import describe_model
from infer.errors import BadModelError, UnreadableScanError
from infer.self_test import check_model, phantom
from tests.infer.tiny_model import MANIFEST, save, tiny_graph, write_tiny_model

LESION_MM, RADIUS_MM = np.array([14.0, -9.0, 6.0]), 9.0  # towards R, A and S
LESION_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000
VOLUMES = replace(MANIFEST, image_size=(32, 32, 32))


def turned(degrees):
    """A rotation about every axis."""
    whole = np.eye(3)
    for axis in range(3):
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one = np.eye(3)
        first, second = (axis + 1) % 3, (axis + 2) % 3
        one[first, first] = one[second, second] = cos
        one[first, second], one[second, first] = -sin, sin
        whole = whole @ one
    return whole


# How a file's axes run, its voxels' size in mm and its shape: none like another.
GRIDS = {
    "right_anterior_superior": (np.eye(3), (2.0, 2.0, 2.0), (48, 50, 46)),
    "all_flipped": (-np.eye(3), (2.0, 1.6, 3.0), (50, 60, 30)),
    "axes_exchanged": (np.eye(3)[[2, 0, 1]] * [1, -1, 1], (3.0, 2.0, 1.8), (32, 48, 54)),
    "oblique": (turned(14.0), (2.0, 2.2, 2.5), (50, 46, 40)),
    "oblique_and_flipped": (turned(-11.0) * [-1, 1, -1], (1.9, 2.0, 4.0), (52, 48, 24)),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "volumes.onnx", VOLUMES)


def affine_of(axes, voxel_mm, shape):
    affine = np.eye(4)
    affine[:3, :3] = axes * voxel_mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2) + [3.0, -2.0, 1.0]
    return affine


def places_mm(affine, shape):
    voxels = np.indices(shape).reshape(3, -1)
    return (affine[:3, :3] @ voxels + affine[:3, 3:]).T.reshape(*shape, 3)


def write_heads(folder):
    """The same head with the same lesion, on every grid."""
    folder.mkdir()
    for name, (axes, voxel_mm, shape) in GRIDS.items():
        affine = affine_of(axes, voxel_mm, shape)
        inside = np.linalg.norm(places_mm(affine, shape) - LESION_MM, axis=-1) < RADIUS_MM
        voxels = np.where(inside, 80, 20).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / f"{name}.nii.gz")
    return folder


@pytest.fixture(scope="module")
def results(model, tmp_path_factory):
    """What `uad-infer` makes of the heads and a picture beside them."""
    folder = write_heads(tmp_path_factory.mktemp("scans") / "scans")
    cv2.imwrite(str(folder / "picture.png"), np.full((40, 50), 90, np.uint8))
    out = folder.parent / "out"
    run(folder, model, out, "--overlays", "all", "--maps")
    return folder, out


def run(folder, model, out, *more):
    command = [str(folder), "--model", str(model), "--out", str(out), "--device", "cpu", "--quiet"]
    return CliRunner().invoke(app, [*command, *more]).exit_code


def table(path):
    with path.open(newline="") as text:
        return list(csv.DictReader(text))


def report(out):
    return {row["scan"]: row for row in table(out / "report.csv")}


@pytest.mark.parametrize("name", GRIDS)
def test_a_lesion_is_marked_at_its_place_in_millimetres(results, name):
    folder, out = results
    scan, mask = (nibabel.load(it / f"{name}.nii.gz") for it in (folder, out / "masks"))
    assert mask.shape == scan.shape
    np.testing.assert_allclose(mask.affine, scan.affine, atol=1e-5)
    marked = np.asarray(mask.dataobj) > 0
    centre = places_mm(mask.affine, mask.shape)[marked].mean(axis=0)
    # A cell of the network's grid is at most 3.1 mm long: half of one, along each axis.
    np.testing.assert_allclose(centre, LESION_MM, atol=1.6)
    row = report(out)[f"{name}.nii.gz"]
    peak = [int(row[f"peak_{axis}"]) for axis in "xyz"]
    assert np.linalg.norm(places_mm(mask.affine, mask.shape)[tuple(peak)] - LESION_MM) < RADIUS_MM
    assert float(row["anomaly_volume_ml"]) == pytest.approx(LESION_ML, rel=0.2)


def test_a_picture_is_a_failed_row_with_a_sentence(results):
    row = report(results[1])["picture.png"]
    assert row["status"] == "failed"
    assert row["error"].startswith("it is a picture of 40 × 50 and the model looks at whole")


def test_a_volume_is_one_row_of_slices_csv_at_the_slice_of_its_peak(results):
    folder, out = results
    rows = {row["scan"]: row for row in table(out / "slices.csv")}
    reported = {scan: row for scan, row in report(out).items() if row["status"] == "ok"}
    assert rows.keys() == reported.keys()
    for scan, row in reported.items():
        assert rows[scan]["slice"] == row["worst_slice"]
        assert rows[scan]["score"] == row["score"]
        image = nibabel.load(folder / scan)
        codes = nibabel.aff2axcodes(image.affine)
        upwards = next(axis for axis, code in enumerate(codes) if code in "SI")
        assert row["worst_slice"] == row[f"peak_{'xyz'[upwards]}"]
        assert int(row["slices"]) == image.shape[upwards]


def test_every_scan_has_its_picture(results):
    _, out = results
    drawn = [cv2.imread(str(out / "overlays" / f"{name}.nii.gz.png")) for name in GRIDS]
    assert all(it is not None and it.std() > 0 for it in drawn)


@pytest.mark.parametrize("batch_size", ["2", "7"])
def test_results_do_not_depend_on_how_many_volumes_go_together(
    results, model, tmp_path, batch_size
):
    folder, out = results
    assert run(folder, model, tmp_path, "--batch-size", batch_size) == 1  # the picture
    for name, row in report(tmp_path).items():
        assert row["score"] == report(out)[name]["score"]


def test_a_program_is_told_what_the_command_writes(results, model):
    folder, out = results
    opened = load(model, device="cpu")
    for name in itertools.islice(GRIDS, 2):
        found = opened.score(folder / f"{name}.nii.gz")
        row = report(out)[f"{name}.nii.gz"]
        assert f"{found.score:.6g}" == row["score"]
        assert len(found.slice_scores) == 1
        assert found.worst_slice == int(row["worst_slice"])
        written = nibabel.load(out / "maps" / f"{name}.nii.gz")
        np.testing.assert_array_equal(found.map, np.asarray(written.dataobj))


def test_an_array_without_depth_is_refused(model):
    with pytest.raises(UnreadableScanError, match="looks at whole volumes"):
        load(model, device="cpu").score(np.zeros((40, 50), np.float32))


def test_it_agrees_with_its_self_test(model):
    assert "agrees" in check_model(model, device="cpu")


def test_the_phantom_is_a_volume_with_a_lesion_off_the_middle():
    voxels = phantom(VOLUMES).voxels[0]
    assert voxels.shape == (40, 40, 40)
    assert voxels.min() == 0
    assert 70 < voxels.max() <= 80
    difference = voxels - voxels[::-1]  # but for the lesion, it is the same upside down
    assert difference.max() > 0.3 * 80
    place = np.unravel_index(difference.argmax(), difference.shape)
    np.testing.assert_allclose(np.array(place) / 39 * 2 - 1, [0.2, -0.3, 0.35], atol=0.1)


def test_it_says_that_it_takes_whole_volumes(model):
    said = describe_model(model)
    assert "whole volumes at 32 × 32 × 32" in said
    assert "volume score" in said


def test_a_graph_of_slices_with_a_manifest_of_volumes_is_refused(tmp_path):
    save(tmp_path / "wrong.onnx", tiny_graph(MANIFEST), VOLUMES)
    with pytest.raises(BadModelError, match=r"\(batch, channel, depth, height, width\)"):
        load(tmp_path / "wrong.onnx", device="cpu")
