"""export → evaluate → compare on a tiny study: what only shows when they run after each other."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from export import registry
from export.release import parity_images
from export.stages.compare import compare, main
from export.stages.evaluate import evaluate
from export.stages.export import export
from export.stages.quantise import quantise
from export.table import COLUMNS
from infer.digest import digest
from infer.engine import read_manifest
from infer.errors import BadModelError
from tests.export.tiny_study import ANOTHER_STORE, COUNTS, make_study
from train.data import data_hash, load_cases
from train.params import load

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def quantise_to_half(params, method):
    quantise(params, method, ("fp16",))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The working directory after all three stages; test scans were away while exporting."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        params = make_study()
        scans = Path("data/tiny/scans")
        shutil.copytree(scans, "away")
        for path in scans.glob("test_*"):
            path.unlink()
        export(params, "cae")
        shutil.copytree("away", scans, dirs_exist_ok=True)
        evaluate(params, "cae")
        compare(params)
        yield folder


@pytest.fixture(scope="module")
def manifest(study):
    return read_manifest(study / "models/tiny/cae.onnx")


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_exporting_needs_no_test_scan(manifest):
    normal, abnormal = COUNTS["validation"]
    assert f"{normal + abnormal} validation scans" in manifest.score_threshold.chosen_by
    assert len(manifest.normals.scores) == normal


def test_the_manifest_says_where_the_model_comes_from(manifest):
    assert manifest.provenance.mlflow_run_id == "a run of another store"
    assert manifest.provenance.data_hash == data_hash("tiny")
    assert manifest.parity.images == sum(COUNTS["validation"])
    assert manifest.self_test.tolerance > 0


@pytest.mark.parametrize("stage", [export, evaluate, quantise_to_half])
def test_a_model_of_other_data_than_is_prepared_is_refused(study, monkeypatch, stage):
    """Its test scans of today may have trained it."""
    monkeypatch.setattr("export.same_data.data_hash", lambda study: "f" * 64)
    before = (study / "models/tiny/cae.onnx").read_bytes()
    with pytest.raises(BadModelError, match=r"fitted to other data .* may have trained it"):
        stage(load("params.yaml"), "cae")
    assert (study / "models/tiny/cae.onnx").read_bytes() == before


def test_what_was_not_exported_cannot_be_evaluated_and_the_hint_says_what_to_run(study):
    with pytest.raises(BadModelError, match="vae has not been exported") as refused:
        evaluate(load("params.yaml"), "vae")
    assert "stage `export`" in refused.value.hint


def test_an_evaluation_that_is_killed_leaves_nothing_of_the_one_before(
    study, tmp_path, monkeypatch
):
    reports = tmp_path / "reports"
    shutil.copytree(study / "reports/tiny", reports)
    monkeypatch.setattr("export.stages.evaluate.report_folder", lambda *names: reports / "evaluate")

    def killed(*args, **named):
        raise KeyboardInterrupt

    assert (reports / "evaluate/cae_where.csv").exists()
    monkeypatch.setattr("export.stages.evaluate.measure", killed)
    with pytest.raises(KeyboardInterrupt):
        evaluate(load("params.yaml"), "cae")
    assert not (reports / "evaluate/cae_where.csv").exists()
    assert not (reports / "evaluate/cae").exists()


def test_every_test_scan_is_measured_at_the_shipped_threshold(study, manifest):
    rows = read_csv(study / "reports/tiny/evaluate/cae/scores.csv")
    test = [it.case for it in load_cases("tiny") if it.split == "test"]
    assert [row["scan"] for row in rows] == [case.scan.as_posix() for case in test]
    for row in rows:
        above = float(row["score"]) > manifest.score_threshold.value
        assert row["anomalous"] == str(above)


def test_metrics_are_flat_numbers_with_their_intervals(study):
    metrics = json.loads((study / "reports/tiny/evaluate/cae.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    for name in ("auroc", "average_precision", "f1", "pixel_ap", "dice", "psnr"):
        assert metrics[f"{name}_low"] <= metrics[f"{name}_high"]
    assert metrics["auroc"] == 1.0  # bright squares on noise


def test_the_table_has_its_columns_and_its_trivial_rows(study):
    rows = read_csv(study / "reports/tiny/compare.csv")
    assert tuple(rows[0]) == COLUMNS
    names = [row["method"] for row in rows]
    assert names[:4] == ["cae", "intensity_threshold", "mean_image", "random"]
    assert all(name.startswith("baseline_") for name in names[4:])
    assert [row["fit_seconds"] for row in rows] == ["12.3"] + [""] * (len(rows) - 1)


def test_a_network_no_better_than_brightness_is_called_that(study):
    text = (study / "reports/tiny/compare.md").read_text()
    assert "is no better than the trivial" in text


def test_where_is_measured_for_models_and_baselines_alike(study):
    reports = study / "reports/tiny"
    where = json.loads((reports / "evaluate/cae_where.json").read_text())
    assert where["scans_measured"] == sum(COUNTS["test"])
    assert where["lesions"] == COUNTS["test"][1]  # a square each
    metrics = json.loads((reports / "evaluate/cae.json").read_text())
    assert where["dice"] == metrics["dice"]
    assert where["map_threshold_shipped"] == metrics["map_threshold"]
    table = (reports / "compare.md").read_text().split("\n## Where\n")[1]
    assert "| **cae** |" in table
    assert "| *intensity_threshold* |" in table


def test_the_threshold_of_one_percent_is_the_shipped_one_where_that_is_asked_for_too(study):
    where = json.loads((study / "reports/tiny/evaluate/cae_where.json").read_text())
    assert where["map_threshold_at_1_percent"] == where["map_threshold_shipped"]
    assert where["dice_at_1_percent"] == where["dice"]
    assert where["map_threshold_at_5_percent"] < where["map_threshold_at_1_percent"]


def test_steps_of_postprocessing_end_with_what_ships(study):
    rows = read_csv(study / "reports/tiny/evaluate/cae/steps.csv")
    assert [row["step"] for row in rows] == ["none", "closing 1", "smallest lesion 10"]
    where = json.loads((study / "reports/tiny/evaluate/cae_where.json").read_text())
    assert float(rows[-1]["dice"]) == pytest.approx(where["dice"])
    text = (study / "reports/tiny/compare.md").read_text().split("## What postprocessing adds")[1]
    assert all(f"| cae | {row['step']} |" in text for row in rows)


def test_every_scan_and_lesion_has_its_line(study):
    folder = study / "reports/tiny/evaluate/cae"
    scans = read_csv(folder / "where_scans.csv")
    assert [row["abnormal"] for row in scans].count("True") == COUNTS["test"][1]
    assert all(len(row["mask_sha256"]) == 64 for row in scans)
    assert len(read_csv(folder / "lesions.csv")) == COUNTS["test"][1]
    assert (folder / "where.png").is_file()
    long = read_csv(study / "reports/tiny/evaluate/cae_where.csv")
    assert {row["of"] for row in long} == {"all", "size", "group"}


def test_the_page_shows_every_test_scan_and_needs_no_other_file(study):
    page = (study / "reports/tiny/compare/cae.html").read_text()
    assert page.count("<figure") == sum(COUNTS["test"])
    assert 'src="data:image' in page
    assert "http" not in page


def test_outputs_name_no_folder_of_this_machine(study):
    written = [it for it in (study / "reports").rglob("*") if it.is_file()]
    assert written
    assert not [it for it in written if str(study).encode() in it.read_bytes()]


def test_comparing_again_writes_the_same_bytes(study):
    from train.params import load

    folder = study / "reports/tiny"
    before = {it: it.read_bytes() for it in folder.rglob("*") if it.is_file()}
    evaluate(load("params.yaml"), "cae")
    compare(load("params.yaml"))
    assert {it: it.read_bytes() for it in folder.rglob("*") if it.is_file()} == before


def test_what_is_kept_are_tables_and_curves_with_what_made_them(study):
    assert main(["params.yaml", "--keep"]) == 0
    kept = study / "docs/results/tiny"
    names = {"README.md", "compare.csv", "compare.md", "scores.png", "roc.png"}
    assert {it.name for it in kept.iterdir()} == names
    said = (kept / "README.md").read_text()
    assert "- command: `python -m export.stages.compare params.yaml --keep`" in said
    assert (kept / "compare.csv").read_bytes() == (study / "reports/tiny/compare.csv").read_bytes()


def test_another_option_of_compare_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["params.yaml", "keep"])
    assert "unrecognized arguments: keep" in capsys.readouterr().err


def test_a_variants_test_stands_beside_that_of_its_file_in_the_same_run(study):
    """Whose run is not here: one stands for it, however often it is asked for."""
    from train import tracking

    client = tracking.open_client()
    run_id = client.search_model_versions("name = 'uad-tiny-cae'")[0].run_id
    before = client.get_run(run_id).data.metrics
    registry.log_test(
        {"auroc": 0.125}, study="tiny", method="cae", run_id=ANOTHER_STORE, files=[],
        sha256="of the variant", precision="int8",
    )  # fmt: skip
    after = client.get_run(run_id).data.metrics
    assert after == before | {"test_int8_auroc": 0.125}
    assert "test_auroc" in before


def test_another_file_of_the_same_fit_does_not_take_the_place_of_its_numbers(study):
    """Exported with another threshold, as an experiment: both stand, each under its file."""
    from train import tracking

    client = tracking.open_client()
    run_id = client.search_model_versions("name = 'uad-tiny-cae'")[0].run_id
    before = client.get_run(run_id).data
    assert before.tags["test.sha256"] == digest((study / "models/tiny/cae.onnx").read_bytes())
    for auroc in (0.25, 0.125):  # the second time, it is the same file's
        registry.log_test(
            {"auroc": auroc}, study="tiny", method="cae", run_id=ANOTHER_STORE, files=[],
            sha256="of another file",
        )  # fmt: skip
    assert client.get_run(run_id).data.metrics == before.metrics
    (other,) = client.search_runs(
        [client.get_experiment_by_name("tiny").experiment_id],
        f"tags.`{tracking.PARENT_TAG}` = '{run_id}'",
    )
    assert other.data.metrics == {"test_auroc": 0.125}
    assert other.data.tags["test.sha256"] == "of another file"


def test_the_only_validation_image_is_compared_in_a_batch_of_two(study, monkeypatch):
    one = np.random.default_rng(0).random((1, 1, 32, 32), np.float32)
    monkeypatch.setattr("export.release.open_images", lambda *given: (one, np.zeros(1, bool)))
    images = parity_images("tiny", (0.0, 1.0))
    np.testing.assert_array_equal(images, np.concatenate([one, one]))


def test_the_model_is_registered_and_leads_back_to_its_run(study):
    from train import tracking

    client = tracking.open_client()
    (version,) = client.search_model_versions("name = 'uad-tiny-cae'")
    run = client.get_run(version.run_id)
    assert run.data.tags["fit_run"] == "a run of another store"
