"""A median and the brain alone: chosen in params.yaml, prepared, fitted, exported, deployed.

The shipped file must see what its network was fitted on, and let no skull into its results.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from export.stages.export import export
from infer.cli import app
from infer.engine import read_manifest
from infer.images import images_for
from infer.readers import read
from tests.train.tiny_configs import tiny
from train.data import load_cases, load_images, load_rows
from train.params import load
from train.stages.fit import fit
from train.stages.prepare import prepare

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODEL = Path("models/phantom/cae.onnx")
RANGE = (-1.0, 1.0)  # of the network: another than that of the prepared images


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The working directory after prepare, fit and export."""
    values = YAML(typ="safe").load(Path("params.yaml").read_text())
    values["methods"] = ["cae"]
    values["data"]["options"] |= {"normals": 20, "abnormals": 8, "size": [96, 80]}
    values["data"]["preprocessing"] |= {"noise": "median", "foreground": "brain"}
    values["fit"]["cae"] = tiny("cae", values["fit"]["cae"]) | {"intensity_range": list(RANGE)}
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        with Path("params.yaml").open("w") as file:
            YAML(typ="safe").dump(values, file)
        params = load("params.yaml")
        prepare(params)
        fit(params, "cae")
        export(params, "cae")
        yield folder


def uad_infer(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_model_sees_of_a_scan_what_it_was_fitted_on(study):
    manifest = read_manifest(MODEL)
    images, _ = load_images("phantom", "train")
    rows = [row for row in load_rows("phantom") if row.split == "train"]
    for row, prepared in zip(rows, images, strict=True):
        seen = images_for(read(row.scan), manifest)[row.slice]
        low, high = RANGE
        np.testing.assert_allclose(seen, prepared * (high - low) + low, atol=1e-6)


def test_prepared_images_show_no_skull(study):
    images, _ = load_images("phantom", "train")
    assert (images == 0).mean() > 0.3
    assert (images > 0.9).mean() < 0.02  # of whole heads: a sixth


def test_the_self_test_of_the_file_agrees(study):
    assert "agrees" in uad_infer("--self-test", "--model", MODEL)


def test_the_file_says_what_it_does_to_scans(study):
    said = uad_infer("--describe", MODEL)
    assert "median of 3 px; only the brain" in said
    assert "noise_px" not in said


def test_nothing_outside_the_brain_is_marked(study):
    scans = [it.case.scan for it in load_cases("phantom") if it.split == "test"]
    folder = Path("scans")
    folder.mkdir()
    for scan in scans:
        (folder / scan.name).write_bytes(scan.read_bytes())
    cv2.imwrite(str(folder / "nothing.png"), np.full((96, 80), 90, np.uint8))
    uad_infer(folder, "--model", MODEL, "--out", "out", "--map-threshold", 0, "--device", "cpu")
    with Path("out/report.csv").open(newline="") as file:
        rows = {row["scan"]: row for row in csv.DictReader(file)}
    assert len(rows) == len(scans) + 1
    assert {row["status"] for row in rows.values()} == {"ok"}
    white, marked = 0, 0
    for scan in scans:
        mask = cv2.imread(f"out/masks/{scan.name}", cv2.IMREAD_UNCHANGED) > 0
        bone = cv2.imread(str(scan), cv2.IMREAD_GRAYSCALE) > 250
        white, marked = white + bone.sum(), marked + (mask & bone).sum()
        assert mask.mean() > 0.1
        assert rows[scan.name]["warning"] == ""
    assert marked < 0.2 * white  # petrous bone lies between parts of the brain
    assert "no brain was found in 1 of 1 slices" in rows["nothing.png"]["warning"]
