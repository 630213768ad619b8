"""Anomaly maps and slice scores of a run: on the scan's own grid, made once, found again."""

import csv
import dataclasses

import cv2
import nibabel
import numpy as np
import pytest

from infer import load
from infer.describe import describe_model
from infer.engine import open_engine
from infer.finding import find_all
from infer.intensity import Intensity
from infer.preprocessing import UNPROCESSED
from infer.readers import read
from tests.infer.test_batch import report, run
from tests.infer.tiny_model import MANIFEST, write_tiny_model

PARTS = ["score_mean"]  # of the tiny model


def slices(out):
    with (out / "slices.csv").open(newline="") as text:
        return list(csv.DictReader(text))


def found(scan, model):
    engine = open_engine(model, device="cpu", threads=1)
    volume = read(scan)
    return volume, find_all([volume], engine.manifest, engine, batch_size=4)[0]


@pytest.fixture
def turned(scans):
    """The folder's volume once more, its slices stored in the opposite order."""
    image = nibabel.load(scans / "lesion.nii.gz")
    flip = nibabel.orientations.axcodes2ornt(("L", "A", "I"))
    nibabel.save(image.as_reoriented(flip), scans / "turned.nii.gz")
    return scans


def test_no_maps_unless_asked_for(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    assert not (tmp_path / "out/maps").exists()


def test_a_pictures_map_holds_the_values_themselves(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out", maps=True)
    stored = cv2.imread(str(tmp_path / "out/maps/lesion000.png.tif"), cv2.IMREAD_UNCHANGED)
    _, finding = found(scans / "lesion000.png", tiny_model)
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored, finding.anomaly_map)


@pytest.mark.parametrize("scan", ["lesion.nii.gz", "turned.nii.gz"])
def test_a_volumes_map_lies_over_the_scan_and_the_mask(turned, tiny_model, tmp_path, scan):
    run(turned, tiny_model, tmp_path / "out", maps=True)
    row = report(tmp_path / "out")[scan]
    source, mask = nibabel.load(turned / scan), nibabel.load(tmp_path / "out/masks" / scan)
    stored = nibabel.load(tmp_path / "out/maps" / scan)
    values = np.asarray(stored.dataobj)
    assert stored.get_data_dtype() == np.float32
    for image in (source, mask):
        assert stored.shape == image.shape
        np.testing.assert_array_equal(stored.affine, image.affine)
        for code in ("qform_code", "sform_code", "xyzt_units"):
            assert stored.header[code] == image.header[code]
    peak = tuple(int(row[f"peak_{axis}"]) for axis in "xyz")
    assert values.max() == values[peak] == pytest.approx(float(row["peak_value"]), rel=1e-5)
    volume, finding = found(turned / scan, tiny_model)
    np.testing.assert_array_equal(volume.grid.from_file(values), finding.anomaly_map)


def test_maps_asked_for_later_are_made_later_and_only_once(scans, tiny_model, tmp_path):
    out = tmp_path / "out"
    run(scans, tiny_model, out)
    assert run(scans, tiny_model, out, maps=True).resumed == 0
    assert len([path for path in (out / "maps").rglob("*") if path.is_file()]) == 7
    assert run(scans, tiny_model, out, maps=True).resumed == 7
    assert run(scans, tiny_model, out).resumed == 7


def test_a_map_that_was_damaged_is_made_again(scans, tiny_model, tmp_path):
    out = tmp_path / "out"
    run(scans, tiny_model, out, maps=True)
    whole = (out / "maps/lesion000.png.tif").read_bytes()
    (out / "maps/lesion000.png.tif").write_bytes(whole[:-1])
    assert run(scans, tiny_model, out, maps=True).resumed == 6
    assert (out / "maps/lesion000.png.tif").read_bytes() == whole


def test_starting_afresh_without_maps_removes_those_there_were(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out", maps=True)
    run(scans, tiny_model, tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out/maps").exists()


def test_slices_are_listed_in_the_order_of_the_report(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    rows, listed = report(tmp_path / "out"), slices(tmp_path / "out")
    assert list(listed[0]) == ["scan", "slice", "score", *PARTS]
    in_order = [(scan, str(at)) for scan, row in rows.items() for at in range(int(row["slices"]))]
    assert [(row["scan"], row["slice"]) for row in listed] == in_order


@pytest.mark.parametrize("scan", ["lesion.nii.gz", "turned.nii.gz"])
def test_the_highest_slice_is_the_worst_slice_of_the_report(turned, tiny_model, tmp_path, scan):
    run(turned, tiny_model, tmp_path / "out")
    row = report(tmp_path / "out")[scan]
    scores = [float(it["score"]) for it in slices(tmp_path / "out") if it["scan"] == scan]
    assert int(row["worst_slice"]) == int(np.argmax(scores))
    # The model's scan score is that of its highest slice.
    assert float(row["score"]) == pytest.approx(max(scores), rel=1e-5)


def test_a_failed_scan_has_no_slices(scans, tiny_model, tmp_path):
    (scans / "lesion000.png").write_bytes(b"")
    run(scans, tiny_model, tmp_path / "out")
    assert "lesion000.png" not in {row["scan"] for row in slices(tmp_path / "out")}


def test_slices_of_an_earlier_run_are_taken_from_the_journal(scans, tiny_model, tmp_path):
    out = tmp_path / "out"
    run(scans, tiny_model, out)
    whole = (out / "slices.csv").read_bytes()
    (out / "slices.csv").write_bytes(whole[:50])
    (scans / "ward/healthy005.png").write_bytes((scans / "healthy002.png").read_bytes())
    assert run(scans, tiny_model, out).resumed == 6
    again = slices(out)
    assert len(again) == len(whole.splitlines()) - 1
    scores = {row["scan"]: row["score"] for row in again}
    assert scores["ward/healthy005.png"] == scores["healthy002.png"]


@pytest.mark.parametrize("scan", ["lesion.nii.gz", "turned.nii.gz"])
def test_a_model_of_a_part_of_volumes_names_slices_by_their_place_in_the_file(
    turned, tmp_path, scan
):
    """The lesion lies in slice 2 of 7; stored the other way round, in slice 4."""
    manifest = dataclasses.replace(MANIFEST, slice_range=(0.0, 0.6))  # slices 0 to 3 from below
    model = write_tiny_model(tmp_path / "part.onnx", manifest)
    run(turned, model, tmp_path / "out", maps=True)
    row = report(tmp_path / "out")[scan]
    listed = [it for it in slices(tmp_path / "out") if it["scan"] == scan]
    looked, ill = ([3, 4, 5, 6], 4) if scan == "turned.nii.gz" else ([0, 1, 2, 3], 2)
    assert [int(it["slice"]) for it in listed] == looked
    assert int(row["worst_slice"]) == int(row["peak_z"]) == ill
    assert int(row["slices"]) == 4
    values = np.asarray(nibabel.load(tmp_path / "out/maps" / scan).dataobj)
    assert np.flatnonzero(values.any(axis=(0, 1))).tolist() == looked


def test_a_program_is_told_which_slices_were_not_looked_at(scans, tmp_path):
    manifest = dataclasses.replace(MANIFEST, slice_range=(0.2, 0.5))
    found = load(write_tiny_model(tmp_path / "part.onnx", manifest)).score(scans / "lesion.nii.gz")
    assert np.isnan(found.slice_scores).tolist() == [True, False, False] + [True] * 4
    assert found.worst_slice == 2


def test_a_model_says_what_it_looks_at(tmp_path):
    manifest = dataclasses.replace(
        MANIFEST,
        slice_range=(0.2, 0.5),
        intensity=Intensity(
            recipe="zscore", low=-3, high=3, output_low=0, output_high=1, inside="stripped"
        ),
        preprocessing=dataclasses.replace(
            UNPROCESSED, foreground="stripped", blank=((0.0, 0.0, 0.1, 0.5),)
        ),
    )
    said = describe_model(write_tiny_model(tmp_path / "part.onnx", manifest))
    assert "from 20% to 50% of a volume" in said
    assert "zscore -3 to 3 standard deviations from the mean of" in said
    assert "only what lies in a background of one single value; blank in 1 rectangle" in said
