"""`export.aggregation.slice_score: map`, through every stage and through a fold."""

import csv
from pathlib import Path

import pytest

import infer
from export.baseline_row import measure_baseline
from export.baselines import baselines
from export.calibration import ExportConfig
from export.draft import OF_THE_MAP
from export.fold_job import FoldJob
from export.fold_run import run_fold
from export.stages.ensemble import combine
from export.stages.evaluate import evaluate
from export.stages.export import export
from infer.describe import describe_model
from infer.engine import read_manifest
from infer.self_test import check_model
from tests.export.stages.test_crossval import numbers
from tests.export.tiny_study import make_study_of_two
from train.data import load_images
from train.metrics import Bootstrap
from train.params import load
from train.pool import make_pool

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The working directory after two methods and their ensemble were exported and measured."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        params = make_study_of_two(slice_score="map")
        text = Path("params.yaml").read_text()
        Path("by_graph.yaml").write_text(text.replace("slice_score: map", "slice_score: graph"))
        for method in ("cae", "fanogan"):
            export(params, method)
        combine(params, "both")
        for name in ("cae", "both"):
            evaluate(params, name)
        yield folder


@pytest.mark.parametrize("name", ["cae", "both"])
def test_what_is_measured_is_the_peak_of_each_picture_as_the_file_finds_it(study, name):
    model = infer.load(study / f"models/tiny/{name}.onnx", device="cpu")
    with (study / f"reports/tiny/evaluate/{name}/scores.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 10
    for line in lines:
        found = model.score(study / line["scan"])
        assert found.score == found.peak_value
        assert float(line["score"]) == pytest.approx(found.peak_value, rel=1e-5)


def test_the_file_says_what_its_score_is(study):
    path = study / "models/tiny/cae.onnx"
    assert "highest value of its map" in read_manifest(path).score_recipe
    (line,) = [it for it in describe_model(path).splitlines() if it.startswith("slice score")]
    assert "highest value of its map" in line


def test_the_threshold_is_one_of_peaks(study):
    manifest = read_manifest(study / "models/tiny/cae.onnx")
    normals = manifest.normals.scores
    assert len(normals) == 6
    model = infer.load(study / "models/tiny/cae.onnx", device="cpu")
    validation = sorted(study.glob("data/tiny/scans/validation_*.png"))
    masks = {it for it in validation if it.stem.endswith("mask")}
    peaks = [model.score(it).peak_value for it in validation if it not in masks]
    assert set(normals) <= set(peaks)
    assert min(peaks) < manifest.score_threshold.value < max(peaks)


@pytest.mark.parametrize("name", ["cae", "fanogan", "both"])
def test_the_self_test_counts_scores_from_an_empty_map(study, name):
    path = study / f"models/tiny/{name}.onnx"
    assert read_manifest(path).self_test.score_zero == 0
    assert "agrees with its export" in check_model(path, device="cpu")


FEW = Bootstrap(resamples=1, confidence=0.5, seed=0)


def test_a_baseline_is_treated_as_the_models_are(study):
    """Or what is beaten is the filters that it lacks."""
    mean_image = named("mean_image")
    by_map, by_graph = (
        measure_baseline(load(it), mean_image, FEW) for it in ("params.yaml", "by_graph.yaml")
    )
    scans = [it for it in by_map.where.scans if it.truth]
    assert scans
    peaks = [it.truth.slice_peaks.max() for it in scans]
    assert [it.score for it in scans] == pytest.approx(peaks)
    assert by_graph.evaluation.rows != by_map.evaluation.rows
    words = mean_image.in_words(load("params.yaml").block(ExportConfig, "export").aggregation)
    assert words.startswith("map = |image − mean training image|")
    assert words.endswith(f"score = {OF_THE_MAP}")


@pytest.mark.parametrize("name", ["baseline_sharpness", "baseline_mean_intensity"])
def test_a_baseline_whose_score_is_of_no_map_keeps_it(study, name):
    by_map, by_graph = (
        measure_baseline(load(it), named(name), FEW).evaluation
        for it in ("params.yaml", "by_graph.yaml")
    )
    assert by_map.rows == by_graph.rows
    assert by_map.score_threshold == by_graph.score_threshold


def named(name):
    return {it.name: it for it in baselines(load_images("tiny", "train")[0])}[name]


def test_a_fold_ships_the_peak_and_says_so(tmp_path, monkeypatch):
    params = numbers()
    params.values["export"]["aggregation"] = {"slice_score": "map", "top_share": 0.05}
    job = FoldJob(
        name="cae", method="cae", members=(), pool="tiny.crossval", grouped=False, fold=0,
        parent_run="",
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    make_pool(params, job.pool)
    fold = run_fold(params, job, models=Path("models"), reports=Path("reports"))
    for test in fold.tests:
        name = "blind" if test.protocol == "blind" else f"study_{test.half}"
        model = infer.load(Path(f"models/published/fold0/cae.{name}.onnx"), device="cpu")
        assert test.recipe == "map"
        for scan in test.scans:
            assert scan.score == pytest.approx(model.score(Path(scan.scan)).peak_value, rel=1e-5)
