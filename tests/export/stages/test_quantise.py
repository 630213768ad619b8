"""python -m export.stages.quantise: files that validation accepts, and a table of all that was."""

import csv
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from export import onnx_file, variant, variant_check
from export.calibration import CalibrationError
from export.stages import quantise as stage
from export.stages.export import export
from infer.engine import open_engine, read_manifest
from infer.errors import BadModelError
from infer.finding import find_all
from infer.manifest import Recalibration
from infer.readers import read
from infer.self_test import check_model
from tests.export.tiny_study import COUNTS, make_study
from train.data import load_cases
from train.params import load

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MODELS, REPORTS = Path("models/tiny"), Path("reports/tiny/quantise")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a study after the stage; its test scans are not there."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        params = make_study()
        for path in Path("data/tiny/scans").glob("test_*"):
            path.unlink()
        export(params, "cae")
        assert stage.main(["params.yaml", "cae", "--precisions", "fp16", "int8", "bf16"]) == 0
    return folder


@pytest.fixture
def study(made, tmp_path, monkeypatch):
    """A copy of it to work in."""
    shutil.copytree(made, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    return tmp_path / "copy"


def rows():
    with (REPORTS / "cae.csv").open(newline="") as table:
        return {(row["precision"], row["device"]): row for row in csv.DictReader(table)}


def params():
    from train.params import load

    return load("params.yaml")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_manifest_says_what_it_is_a_variant_of(study, precision):
    said = read_manifest(MODELS / f"cae.{precision}.onnx").variant
    source = MODELS / "cae.onnx"
    assert said.of == hashlib.sha256(source.read_bytes()).hexdigest()
    assert said.precision == precision
    assert said.scans == sum(COUNTS["validation"])
    assert said.calibration_images == (COUNTS["validation"][0] if precision == "int8" else 0)
    assert said.correlation >= {"fp16": 0.999, "int8": 0.99}[precision]
    assert said.auroc >= said.auroc_before - 0.005
    assert said.self_test == read_manifest(source).self_test
    assert read_manifest(source).variant is None


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_thresholds_and_normals_are_by_its_own_scores(study, precision):
    engine = open_engine(MODELS / f"cae.{precision}.onnx", device="cpu", threads=1)
    normals = [it.case for it in load_cases("tiny") if it.split == "validation" and it.case.normal]
    volumes = [read(it.scan) for it in normals]
    found = find_all(volumes, engine.manifest, engine, batch_size=16)
    scores = sorted(it.score for it in found)
    np.testing.assert_allclose(engine.manifest.normals.scores, scores, rtol=1e-6)
    assert "10 validation scans" in engine.manifest.score_threshold.chosen_by
    source = read_manifest(MODELS / "cae.onnx")
    assert engine.manifest.normals.scores != source.normals.scores


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_it_passes_a_self_test_of_its_own(study, precision):
    assert f"on cpu in {precision}" in check_model(MODELS / f"cae.{precision}.onnx", device="cpu")


def test_the_table_has_a_row_for_each_file_on_each_engine(study):
    found = rows()
    assert {("fp32", "cpu"), ("fp16", "cpu"), ("int8", "cpu")} < found.keys()
    reference = found["fp32", "cpu"]
    assert (float(reference["speed"]), reference["verdict"]) == (1.0, "")
    for precision in ("fp16", "int8"):
        row, file = found[precision, "cpu"], MODELS / f"cae.{precision}.onnx"
        assert row["verdict"] == "accepted"
        assert row["file"] == file.name
        assert float(row["mib"]) == pytest.approx(file.stat().st_size / 2**20, abs=0.01)
        assert float(row["mib"]) < float(reference["mib"])
        assert float(row["ms_per_image"]) > 0
    assert "# Study tiny, cae: fewer bits" in (REPORTS / "cae.md").read_text()


def test_bf16_is_no_file_but_a_row(study):
    assert ("bf16", "openvino") in rows()
    assert not list(MODELS.glob("*bf16*"))


def test_what_is_not_accepted_is_not_there_and_the_table_says_why(study, monkeypatch):
    monkeypatch.setitem(variant_check.SMALLEST_CORRELATION, "int8", 1.1)  # which nothing reaches
    half = (MODELS / "cae.fp16.onnx").read_bytes()
    assert stage.main(["params.yaml", "cae", "--precisions", "int8"]) == 0
    row = rows()["int8", "cpu"]
    assert "refused: correlation" in row["verdict"]
    assert "at least 1.1 is asked" in row["verdict"]
    assert row["left_in_float"]  # all but one product, the last that was tried
    assert (row["file"], row["mib"], row["ms_per_image"]) == ("", "", "")
    assert not (MODELS / "cae.int8.onnx").exists()
    assert (MODELS / "cae.fp16.onnx").read_bytes() == half


def test_int8_that_openvino_computes_otherwise_does_not_run_there(study, monkeypatch):
    pytest.importorskip("openvino")
    through = stage.said_of

    def otherwise(validation, engine, manifest):
        said = through(validation, engine, manifest)
        if engine.device.got == "openvino" and engine.device.precision == "int8":
            return variant_check.Scored(scores=-said.scores, anomalous=said.anomalous)
        return said

    monkeypatch.setattr(stage, "said_of", otherwise)
    assert stage.main(["params.yaml", "cae", "--precisions", "int8"]) == 0
    assert "refused: correlation -" in rows()["int8", "openvino"]["verdict"]
    assert rows()["int8", "cpu"]["verdict"] == "accepted"
    assert read_manifest(MODELS / "cae.int8.onnx").variant.accepted_on == ("cpu",)


def test_a_variant_of_a_variant_is_refused(study):
    shutil.copyfile(MODELS / "cae.int8.onnx", MODELS / "cae.onnx")
    with pytest.raises(BadModelError, match="is a variant itself, in int8"):
        stage.quantise(params(), "cae", ["fp16"])


def test_what_remembers_images_is_refused(study):
    known = replace(read_manifest(MODELS / "cae.onnx"), method="neighbours")
    onnx_file.write(MODELS / "cae.onnx", onnx.load(MODELS / "cae.onnx"), known)
    with pytest.raises(BadModelError, match="compares remembered images in float64"):
        stage.quantise(params(), "cae", ["fp16"])


def test_a_variant_of_a_recalibrated_file_is_refused(study):
    recalibrated = read_manifest(MODELS / "cae.onnx")
    entry = Recalibration(
        original_sha256="ab" * 32,
        scans=20,
        scans_sha256="cd" * 32,
        made="2026-01-01T00:00:00+00:00",
        score_threshold=recalibrated.score_threshold,
        map_threshold=recalibrated.map_threshold,
        normals=6,
    )
    changed = replace(recalibrated, recalibrated=(entry,))
    onnx_file.write(MODELS / "cae.onnx", onnx.load(MODELS / "cae.onnx"), changed)
    with pytest.raises(BadModelError, match="has the thresholds of a site") as refused:
        stage.quantise(params(), "cae", ["fp16"])
    assert "then recalibrate the variant" in refused.value.hint


def test_what_is_left_in_float_is_said_and_is_in_float(study, monkeypatch):
    seen = []

    def refuses_once(comparison, precision):
        seen.append(precision)
        return ["not yet"] if len(seen) == 1 else []

    monkeypatch.setattr(variant, "objections", refuses_once)
    assert stage.main(["params.yaml", "cae", "--precisions", "int8"]) == 0
    path = MODELS / "cae.int8.onnx"
    (left,) = read_manifest(path).variant.left_in_float
    graph = onnx.load(path).graph
    (node,) = [it for it in graph.node if it.name == left]
    (weights,) = [it for it in graph.initializer if it.name == node.input[1]]
    assert weights.data_type == onnx.TensorProto.FLOAT
    assert rows()["int8", "cpu"]["left_in_float"] == left


def test_a_study_without_abnormal_validation_scans_is_refused(study, monkeypatch):
    made_of = read_manifest(Path("models/tiny/cae.onnx")).provenance.data_hash
    monkeypatch.setattr("export.same_data.data_hash", lambda study: made_of)
    table = Path("data/tiny/cases.csv")
    lines = table.read_text().splitlines(keepends=True)
    kept = [it for it in lines if not ("abnormal" in it and "validation" in it)]
    assert len(kept) == len(lines) - COUNTS["validation"][1]
    table.write_text("".join(kept))
    with pytest.raises(CalibrationError, match="no validation scan is abnormal"):
        stage.quantise(params(), "cae", ["fp16"])


def test_no_scan_and_no_folder_is_named_in_the_file(study, made):
    files = list(MODELS.glob("*.*.onnx"))
    assert len(files) == 2
    for path in files:
        content = path.read_bytes()
        assert b"validation_" not in content
        assert str(made).encode() not in content
        assert b"/tmp" not in content


def test_a_file_that_was_exported_by_other_rules_is_refused(study):
    params = Path("params.yaml").read_text()
    before = sorted(MODELS.iterdir())
    changed = re.sub(r"map_false_positive_rate: \S+", "map_false_positive_rate: 0.2", params)
    assert changed != params
    Path("params.yaml").write_text(changed)
    with pytest.raises(BadModelError, match="map_false_positive_rate has changed since"):
        stage.quantise(load("params.yaml"), "cae", ["fp16"])
    assert sorted(MODELS.iterdir()) == before
