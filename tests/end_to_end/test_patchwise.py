"""A method that looks at patches, from its numbers to the report of `uad-infer`."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from export import registry
from export.fitted import load_fitted
from export.stages.export import export
from infer.cli import app
from infer.engine import open_engine
from infer.finding import find_all
from infer.readers import read
from tests.train.phantom_study import COUNTS, SLICE_SIZE, STUDY, make_phantom_study
from tests.train.told_run import Told
from train import session, tracking
from train.data import DataConfig, load_cases, load_images
from train.paths import checkpoint_path, model_path
from train.scores import ScoreRecipe
from train.stages.fit import fit
from train.validation import as_tensor, validate

# 3 × 3 patches; the last of each row and column is shifted back by 4 pixels.
PATCHES = {"size": [32, 32], "stride": [20, 20], "top_share": 0.3}
EPOCHS = 20
LESION = (slice(36, 44), slice(24, 32))  # bright, in the tissue of a scan
RECIPES = ("mean_square", "strongest_bright_7x7")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A fitted and exported study in the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        yield fitted_and_exported(patch)


def fitted_and_exported(patch):
    patch.setattr(tracking, "start", lambda *given, **named: Told())
    patch.setattr(registry, "register", lambda *given, **named: "1")
    patch.setattr(session, "WATCHES", 1)
    params = make_phantom_study("cae", (64, 64), 1, PATCHES)
    params.values["fit"]["cae"] |= {"epochs": EPOCHS, "width": 8, "batch_size": 8}
    recipes = params.values["scores"]
    params.values["scores"] = {name: recipes[name] for name in RECIPES}
    fit(params, "cae")
    export(params, "cae")
    return params


@pytest.fixture(scope="module")
def file(study):
    return model_path(STUDY, "cae")


def report_of(folder, file, out):
    """What `uad-infer` says of every scan of a folder."""
    done = CliRunner().invoke(app, [str(folder), "--model", str(file), "--out", str(out)])
    assert done.exit_code == 0, done.output
    with (out / "report.csv").open(newline="") as table:
        return {row["scan"]: row for row in csv.DictReader(table)}


def test_the_file_takes_patches_and_says_how(file):
    manifest = open_engine(file, device="cpu", threads=1).manifest
    assert manifest.image_size == (64, 64)
    assert manifest.input_size == (32, 32)
    assert manifest.patches.stride == (20, 20)
    done = CliRunner().invoke(app, ["--self-test", "--model", str(file)])
    assert done.exit_code == 0, done.output


def test_every_scan_gets_a_row_and_a_mask_of_its_own_size(file, tmp_path):
    rows = report_of(Path(f"data/{STUDY}/scans"), file, tmp_path)
    assert len(rows) == sum(map(sum, COUNTS.values()))
    for row in rows.values():
        assert row["status"] == "ok"
        assert cv2.imread(str(tmp_path / row["mask"]), 0).shape == SLICE_SIZE


def test_a_planted_lesion_raises_the_map_where_it_is(file):
    engine = open_engine(file, device="cpu", threads=1)
    (scan, *_) = sorted(Path(f"data/{STUDY}/scans").glob("test_*.png"))
    pixels = cv2.imread(str(scan), 0)
    pixels[LESION] = 255
    cv2.imwrite("planted.png", pixels)
    volumes = [read(scan), read(Path("planted.png"))]
    before, after = find_all(volumes, engine.manifest, engine, batch_size=4)
    raised = after.anomaly_map - before.anomaly_map
    elsewhere = np.ones(SLICE_SIZE, bool)
    elsewhere[LESION] = False
    assert raised[LESION].mean() > 5 * np.abs(raised[elsewhere]).mean()
    assert after.score > before.score


def test_a_score_on_validation_is_the_score_that_ships(study, file, tmp_path):
    data = study.block(DataConfig, "data")
    fitted = load_fitted(checkpoint_path(STUDY, "cae"), "cae", data)
    prepared, abnormal = load_images(STUDY, "validation")
    images = as_tensor(prepared, fitted.intensity_range, torch.device("cpu"))
    recipes = study.blocks(ScoreRecipe, "scores")
    chosen = {fitted.metadata["score"]: recipes[fitted.metadata["score"]]}
    seen = validate(fitted.graph.model, chosen, images, abnormal, images[:0], fitted.patches)
    (scores,) = seen.scores.values()
    rows = report_of(Path(f"data/{STUDY}/scans"), file, tmp_path)
    scans = [it.case.scan.name for it in load_cases(STUDY) if it.split == "validation"]
    shipped = [float(rows[scan]["score"]) for scan in scans]
    assert len(scores) == len(shipped) == sum(COUNTS["validation"])
    # ONNX Runtime against torch, and six digits are written.
    assert shipped == pytest.approx(scores.tolist(), rel=1e-4)
