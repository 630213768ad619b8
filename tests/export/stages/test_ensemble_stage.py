"""Two methods of different ranges → one file, deployed, measured and compared as any other."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from export.ensemble import LARGEST_SCORE
from export.stages.compare import compare
from export.stages.ensemble import combine
from export.stages.evaluate import evaluate
from export.stages.export import export
from infer.cli import app
from infer.engine import open_engine, read_manifest
from tests.export.tiny_study import COUNTS, make_study_of_two
from train.data import load_cases, load_images
from train.params import BadParamsError, load

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
MEMBERS = ("cae", "fanogan")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The working directory after both methods and their ensemble went through all stages."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        params = make_study_of_two()
        for method in MEMBERS:
            export(params, method)
        combine(params, "both")
        for name in (*MEMBERS, "both"):
            evaluate(params, name)
        compare(params)
        yield folder


@pytest.fixture(scope="module")
def model(study):
    return study / "models/tiny/both.onnx"


@pytest.fixture(scope="module")
def manifest(model):
    return read_manifest(model)


def uad_infer(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_takes_prepared_images_and_names_its_members_runs(manifest):
    assert (manifest.intensity.output_low, manifest.intensity.output_high) == (0.0, 1.0)
    assert manifest.method == "both"
    assert manifest.provenance.members == dict.fromkeys(MEMBERS, "a run of another store")
    assert manifest.provenance.mlflow_run_id not in ("", "a run of another store")


def test_the_file_is_calibrated_compared_with_torch_and_passes_its_self_test(model, manifest):
    assert len(manifest.normals.scores) == COUNTS["validation"][0]
    assert "F1" in manifest.score_threshold.chosen_by
    assert manifest.parity.images == sum(COUNTS["validation"])
    assert "agrees" in uad_infer("--self-test", "--model", model, "--device", "cpu").stdout


def test_scans_of_normals_score_about_0_and_their_maps_are_read_in_units(manifest):
    scores = np.array(manifest.normals.scores)
    assert abs(np.median(scores)) < 1
    assert 0.3 < scores.std() < 3
    assert 0.3 < manifest.map_threshold.value < 3


def test_each_members_part_is_its_own_score_in_units_of_the_normals(study, model):
    images, abnormal = load_images("tiny", "validation")
    parts = open_engine(model, device="cpu", threads=1).run(images).score_parts
    assert set(parts) == set(MEMBERS)
    for method in MEMBERS:
        own = open_engine(study / f"models/tiny/{method}.onnx", device="cpu", threads=1)
        low, high = own.manifest.intensity.output_low, own.manifest.intensity.output_high
        expected = own.run(images * np.float32(high - low) + np.float32(low)).score
        said = parts[method] / (1 - np.abs(parts[method]) / LARGEST_SCORE)
        slope, offset = np.polyfit(expected, said, 1)
        assert slope > 0
        np.testing.assert_allclose(slope * expected + offset, said, rtol=1e-3, atol=1e-3)
        assert np.median(said[~abnormal]) == pytest.approx(0, abs=1e-3)


def test_uad_infer_scores_a_folder_with_it(study, model, tmp_path):
    done = uad_infer(study / "data/tiny/scans", "--model", model, "--out", tmp_path / "out")
    assert done.exit_code == 0
    rows = read_csv(tmp_path / "out/report.csv")
    assert rows
    assert {row["status"] for row in rows} == {"ok"}
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["model"]["members"] == dict.fromkeys(MEMBERS, "a run of another store")


def test_describe_gives_each_member_a_line(model):
    said = [line.strip() for line in uad_infer("--describe", model).stdout.splitlines()]
    for method in MEMBERS:
        assert any(line.endswith(f"{method}, MLflow run a run of another store") for line in said)
        assert any(line.startswith(f"{method}: bright: map = ") for line in said)


def test_it_is_measured_and_compared_like_a_method(study):
    rows = read_csv(study / "reports/tiny/compare.csv")
    assert [row["method"] for row in rows][:3] == ["cae", "fanogan", "both"]
    assert rows[2]["fit_seconds"] == "24.6"  # of both its members
    scores = read_csv(study / "reports/tiny/evaluate/both/scores.csv")
    assert len(scores) == sum(it.split == "test" for it in load_cases("tiny"))


def test_its_registered_version_leads_to_a_run_that_names_its_members(study):
    from train import tracking

    client = tracking.open_client()
    (version,) = client.search_model_versions("name = 'uad-tiny-both'")
    run = client.get_run(version.run_id)
    assert run.data.params["members"] == "cae, fanogan"
    assert run.data.tags["member.cae"] == "a run of another store"
    assert "test_auroc" in run.data.metrics


def test_an_ensemble_that_params_do_not_name_is_refused(study):
    with pytest.raises(BadParamsError, match=r"lacks ensembles\.bth") as refused:
        combine(load("params.yaml"), "bth")
    assert refused.value.hint == "did you mean both?"
