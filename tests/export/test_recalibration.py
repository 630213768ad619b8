"""python -m export recalibrate: a site's own normals move thresholds, and nothing else."""

import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.calibration import BY_ODDS, CalibrationError
from export.recalibration import Rates, recalibrate
from infer import load
from infer.cli import app as uad_infer
from infer.engine import read_manifest
from infer.errors import BadOutputError
from infer.manifest import Threshold
from infer.self_test import check_model
from tests.infer.tiny_model import MANIFEST, write_tiny_model

RATES = Rates(scans=0.1, pixels=0.01)
COUNT = 20


def write_normals(folder, count=COUNT):
    """Pictures of another scanner: noisier than what the tiny model's thresholds were made for."""
    folder.mkdir()
    draw = np.random.default_rng(7)
    for at in range(count):
        pixels = draw.normal(90, 10 + at, (40, 50)).clip(0, 255)
        cv2.imwrite(str(folder / f"patient_{at:02}.png"), pixels.astype(np.uint8))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def normals(tmp_path_factory):
    return write_normals(tmp_path_factory.mktemp("site") / "normals")


@pytest.fixture(scope="module")
def made(model, normals):
    out = model.with_name("site.onnx")
    return recalibrate(model, normals, rates=RATES, out=out)


def test_the_new_threshold_lets_exactly_the_rate_of_the_sites_normals_through(made, normals):
    fresh = load(made.path, device="cpu", batch_size=32)
    called = [fresh.score(scan).anomalous for scan in sorted(normals.iterdir())]
    assert sum(called) == RATES.scans * COUNT


def test_the_table_of_normals_is_that_of_the_site(made, model, normals):
    old = load(model, device="cpu", batch_size=32)
    scores = sorted(old.score(scan).score for scan in normals.iterdir())
    np.testing.assert_allclose(made.manifest.normals.scores, scores, rtol=1e-6)
    assert made.manifest.normals.sizes == ((40, 50),)


def test_one_percent_of_the_sites_pixels_lie_above_the_new_map_threshold(made, model, normals):
    old = load(model, device="cpu", batch_size=32)
    maps = np.stack([old.score(scan).map for scan in normals.iterdir()])
    above = (maps > made.manifest.map_threshold.value).mean()
    assert above == pytest.approx(RATES.pixels, abs=1 / maps.size * 2)


def test_a_map_threshold_by_the_networks_own_odds_stays_as_no_scans_chose_it(normals, tmp_path):
    by_odds = Threshold(value=0.3, chosen_by=f"{BY_ODDS} 1 that a voxel was planted")
    model = write_tiny_model(tmp_path / "m.onnx", replace(MANIFEST, map_threshold=by_odds))
    made = recalibrate(model, normals, rates=RATES, out=tmp_path / "new.onnx")
    assert made.manifest.map_threshold == by_odds
    assert "normals of the site" in made.manifest.score_threshold.chosen_by


def test_the_graph_is_untouched_and_the_self_test_still_agrees(made, model):
    old, new = onnx.load(model), onnx.load(made.path)
    assert old.graph.SerializeToString() == new.graph.SerializeToString()
    assert "agrees" in check_model(made.path, device="cpu")


def test_the_new_file_says_what_it_was_made_from(made, model, normals):
    (entry,) = read_manifest(made.path).recalibrated
    assert entry.original_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert entry.scans == COUNT
    contents = sorted(hashlib.sha256(it.read_bytes()).hexdigest() for it in normals.iterdir())
    assert entry.scans_sha256 == hashlib.sha256("\n".join(contents).encode()).hexdigest()
    assert entry.score_threshold == MANIFEST.score_threshold
    assert entry.map_threshold == MANIFEST.map_threshold
    assert made.manifest.provenance == MANIFEST.provenance


def test_the_new_file_names_no_scan_and_no_folder(made, normals):
    content = made.path.read_bytes()
    assert b"patient" not in content
    assert str(normals.parent).encode() not in content


def test_recalibrating_again_keeps_the_whole_history(made, model, normals, tmp_path):
    rates = replace(RATES, scans=0.2)
    again = recalibrate(made.path, normals, rates=rates, out=tmp_path / "again.onnx")
    first, second = again.manifest.recalibrated
    assert first == made.manifest.recalibrated[0]
    assert second.original_sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert second.score_threshold == made.manifest.score_threshold


@pytest.mark.parametrize(("rate", "needed"), [(0.05, 20), (0.01, 100), (0.3, 4)])
def test_too_few_scans_for_the_rate_are_refused_with_the_number_needed(
    model, tmp_path, rate, needed
):
    folder = write_normals(tmp_path / "few", count=3)
    with pytest.raises(CalibrationError, match=f"needs at least {needed}"):
        recalibrate(model, folder, rates=replace(RATES, scans=rate), out=tmp_path / "new.onnx")
    assert not (tmp_path / "new.onnx").exists()


def test_unreadable_scans_are_reported_and_do_not_count(model, tmp_path):
    folder = write_normals(tmp_path / "normals", count=10)
    (folder / "broken.png").write_bytes(b"no picture")
    made = recalibrate(model, folder, rates=RATES, out=tmp_path / "new.onnx")
    (reason,) = made.unreadable
    assert reason.startswith("broken.png")
    assert made.manifest.recalibrated[0].scans == 10
    (folder / "patient_00.png").unlink()
    with pytest.raises(CalibrationError, match=r"9 normal scans.*1 could not be used.*broken"):
        recalibrate(model, folder, rates=RATES, out=tmp_path / "other.onnx")


def test_a_model_that_decides_by_mask_is_refused(normals, tmp_path):
    model = write_tiny_model(tmp_path / "m.onnx", replace(MANIFEST, anomalous_by="mask"))
    with pytest.raises(CalibrationError, match="mask is not empty"):
        recalibrate(model, normals, rates=RATES, out=tmp_path / "new.onnx")


def test_nothing_is_written_over(model, normals):
    before = model.read_bytes()
    with pytest.raises(BadOutputError, match="new file"):
        recalibrate(model, normals, rates=RATES, out=model)
    assert model.read_bytes() == before


def test_the_command_writes_beside_the_model_and_uad_infer_takes_it(normals, tmp_path):
    model = write_tiny_model(tmp_path / "tiny.onnx")
    options = ["--normals", str(normals), "--false-positive-rate", "0.05"]
    done = CliRunner().invoke(app, ["recalibrate", str(model), *options])
    assert done.exit_code == 0, done.output
    assert "thresholds of 20 normal scans" in done.output
    new, out = tmp_path / "tiny-recalibrated.onnx", tmp_path / "out"
    scored = CliRunner().invoke(
        uad_infer, [str(normals), "--model", str(new), "--device", "cpu", "--out", str(out)]
    )
    assert scored.exit_code == 0, scored.output
    run = json.loads((out / "run.json").read_text())
    assert run["model"]["recalibrated"][0]["scans"] == COUNT
    assert "normals of the site" in run["model"]["score_threshold"]["chosen_by"]
    assert run["counts"]["anomalous"] == 1


def test_a_senseless_rate_is_refused_in_two_lines(model, normals):
    options = ["--normals", str(normals), "--false-positive-rate", "1.5"]
    done = CliRunner().invoke(app, ["recalibrate", str(model), *options])
    assert done.exit_code == 2
    assert "error: a false-positive rate must lie between 0 and 1" in done.output
