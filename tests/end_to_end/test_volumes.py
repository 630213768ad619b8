"""A study of volumes, from its params file to the table: every stage, and what they hand on."""

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from export import registry
from export.scan_scores import score_scans
from export.stages.compare import compare
from export.stages.evaluate import evaluate
from export.stages.export import export
from infer.cli import app
from infer.engine import open_engine
from infer.readers import read
from infer.volumetric import resized
from tests.train.phantom_study import REPOSITORY
from tests.train.tiny_configs import tiny
from tests.train.told_run import Told
from train import session, tracking
from train.data import load_cases, load_images, load_rows
from train.params import Params, load
from train.paths import model_path, report_folder
from train.stages.fit import fit
from train.stages.prepare import prepare

STUDY = "volumes"
IMAGE_SIZE = (32, 32, 32)
SHAPE = (10, 40, 34)  # of the scans
RECIPES = ("mean_square", "strongest_bright_7x7", "standardised_3x3_top_1_percent")


def params_of_volumes():
    values = dict(load(REPOSITORY / "params.yaml").values)
    options = {"normals": 10, "abnormals": 6, "size": list(SHAPE), "seed": 3}
    block = {**tiny("vae", values["fit"]["vae"], 3), "epochs": 4}
    return Params(
        "params.yaml",
        values
        | {
            "study": STUDY,
            "methods": ["vae"],
            "data": {**values["data"], "image_size": list(IMAGE_SIZE), "options": options},
            "fit": {"vae": block},
            "scores": {name: values["scores"][name] for name in RECIPES},
            "evaluate": {**values["evaluate"], "resamples": 10},
        },
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What the fit told; all stages have run in the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        told = Told()
        patch.setattr(tracking, "start", lambda *given, **named: told)
        for name in ("register", "log_test", "log_comparison"):
            patch.setattr(registry, name, lambda *given, **named: "1")
        patch.setattr(session, "WATCHES", 1)
        params = params_of_volumes()
        prepare(params)
        fit(params, "vae")
        export(params, "vae")
        evaluate(params, "vae")
        compare(params)
        yield told


@pytest.fixture(scope="module")
def engine(told):
    return open_engine(model_path(STUDY, "vae"), device="cpu", threads=1)


def test_every_volume_is_one_prepared_image(told):
    cases = {it.case.scan: it for it in load_cases(STUDY)}
    rows = load_rows(STUDY)
    assert {row.scan for row in rows} == {it for it in cases if cases[it].split != "test"}
    assert len(rows) == len({row.scan for row in rows})
    assert all(row.slice == 0 for row in rows)
    images, abnormal = load_images(STUDY, "validation")
    scans = [row.scan for row in rows if row.split == "validation"]
    for image, ill, scan in zip(images, abnormal, scans, strict=True):
        assert ill != cases[scan].case.normal
        windowed = np.clip(read(scan).voxels / 80, 0, 1)[np.newaxis]
        # Clipped before or after: only the order of float32 operations differs.
        np.testing.assert_allclose(image, resized(windowed, IMAGE_SIZE)[0], atol=1e-5)


def test_the_fit_shows_pictures_of_middle_slices(told):
    shown = {name.split("/")[0] for name in told.pictures}
    assert {"reconstructions", "roc", "samples", "interpolations"} <= shown


def test_the_file_takes_volumes(engine):
    assert engine.manifest.image_size == IMAGE_SIZE
    assert engine.manifest.schema >= 4
    done = CliRunner().invoke(app, ["--self-test", "--model", str(model_path(STUDY, "vae"))])
    assert done.exit_code == 0, done.output


def test_uad_infer_writes_the_masks_that_were_measured_bit_for_bit(engine, tmp_path):
    file = str(model_path(STUDY, "vae"))
    done = CliRunner().invoke(
        app, [f"data/{STUDY}/scans", "--model", file, "--out", str(tmp_path), "--device", "cpu"]
    )
    assert done.exit_code == 0, done.output
    test = [it.case for it in load_cases(STUDY) if it.split == "test"]
    with (tmp_path / "report.csv").open(newline="") as table:
        rows = {row["scan"]: row for row in csv.DictReader(table)}
    for scored in score_scans(test, engine.manifest, engine):
        name = scored.case.scan.name
        scan, mask = nibabel.load(scored.case.scan), nibabel.load(tmp_path / "masks" / name)
        np.testing.assert_array_equal(mask.affine, scan.affine)
        measured = scored.volume.grid.to_file(scored.finding.mask)
        np.testing.assert_array_equal(np.asarray(mask.dataobj) > 0, measured)
        assert rows[name]["score"] == f"{scored.finding.score:.6g}"
        assert rows[name]["slices"] == str(SHAPE[0])


def test_the_table_compares_it_with_every_baseline(told):
    with Path(f"reports/{STUDY}/compare.csv").open(newline="") as table:
        rows = {row["method"]: row for row in csv.DictReader(table)}
    assert {"vae", "intensity_threshold", "mean_image", "random"} <= rows.keys()
    assert all(0 <= float(row["auroc"]) <= 1 for row in rows.values())


def test_lesions_are_measured_voxel_by_voxel_on_the_scans_grid(told):
    metrics = json.loads((report_folder(STUDY, "evaluate") / "vae.json").read_text())
    assert 0 < metrics["pixel_ap"] <= 1
    assert 5 < metrics["psnr"] < 60
