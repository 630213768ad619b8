"""The whole cross validation on a few phantoms: a method, an ensemble, the baselines; one epoch.

Exports take most of the time: three for each fold of what is fitted or combined.
"""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from export import crossval_report
from export.stages import crossval as stage
from infer.engine import read_manifest
from tests.train.tiny_configs import tiny
from train.params import Params, load

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

OPTIONS = stage.Options(
    jobs=1,
    methods=(),
    ablations=(),
    grouped=(),
    folds=(),
    source=None,
    only_table=False,
    keep=True,
    delete_models=False,
    command="a command",
)
FOLDS = Path("reports/tiny/crossval/folds")


def numbers():
    """The default study's, shrunk to three folds of a few phantoms."""
    values = dict(load("params.yaml").values)
    values["study"] = "tiny"
    options = {"normals": 12, "abnormals": 6, "size": [72, 60], "seed": 1}
    values["data"] = {**values["data"], "options": options}
    values["split"] = {**values["split"], "normal_folds": 3}
    values["fit"] = {"cae": {**tiny("cae", values["fit"]["cae"]), "epochs": 1}}
    values["scores"] = {name: values["scores"][name] for name in ("mean_square", "strongest_7x7")}
    values["evaluate"] = {**values["evaluate"], "resamples": 5}
    values["crossval"] = {
        **values["crossval"],
        "methods": ["cae"],
        "grouped": [False],
        "blind_scores": {"cae": "mean_square"},
        "ensembles": {"alone": ["cae"]},
    }
    return Params("params.yaml", values)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The working directory after a run, and the numbers it ran with."""
    params, folder = numbers(), tmp_path_factory.mktemp("crossval")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("DVC_ROOT", str(folder))
        patch.setattr(crossval_report, "DPI", 20)
        stage.crossval(params, OPTIONS)
        yield params


@pytest.fixture
def no_pictures(monkeypatch):
    """They cost seconds, and the first run has drawn them."""
    for drawn in ("_curves", "_pages"):
        monkeypatch.setattr(crossval_report, drawn, lambda *given: iter(()))


def read_csv(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def read_fold(name, fold=0):
    return json.loads((FOLDS / name / f"published_fold{fold}.json").read_text())


def test_each_method_has_two_results_of_every_fold_under_either_protocol(study):
    rows = [it for it in read_csv("reports/tiny/folds.csv") if it["metric"] == "auroc"]
    for name in ("cae", "alone", "mean_image", "random"):
        for protocol in ("study", "blind"):
            found = {
                (it["repeat"], it["fold"])
                for it in rows
                if (it["method"], it["protocol"], it["recipe"]) == (name, protocol, "shipped")
            }
            assert found == {(half, fold) for half in "01" for fold in "012"}


def test_the_table_is_the_mean_of_the_folds(study):
    values = [
        float(it["value"])
        for it in read_csv("reports/tiny/folds.csv")
        if (it["method"], it["protocol"], it["recipe"], it["metric"])
        == ("cae", "study", "shipped", "auroc")
    ]
    (row,) = (
        it
        for it in read_csv("reports/tiny/crossval.csv")
        if (it["method"], it["protocol"], it["recipe"], it["metric"])
        == ("cae", "study", "shipped", "auroc")
    )
    assert float(row["mean"]) == pytest.approx(sum(values) / 6, abs=1e-5)
    assert row["results"] == "6"


def test_what_is_tested_is_the_exported_file_at_its_own_threshold(study):
    for test in read_fold("cae")["tests"]:
        name = "blind" if test["protocol"] == "blind" else f"study_{test['half']}"
        manifest = read_manifest(Path(f"models/tiny/crossval/published/fold0/cae.{name}.onnx"))
        threshold = manifest.score_threshold
        assert test["score_threshold"] == pytest.approx(threshold.value, rel=1e-5)
        assert ("F1" in threshold.chosen_by) == (test["protocol"] == "study")


def test_a_shipped_score_is_that_of_its_recipe_on_the_same_images(study):
    for test in read_fold("cae")["tests"]:
        scores = [it["score"] for it in test["scans"]]
        # ONNX Runtime against torch: other orders of summation, and six digits are written.
        assert scores == pytest.approx(test["other_scores"][test["recipe"]], rel=1e-4)


def test_blind_keeps_to_the_recipe_fixed_beforehand(study):
    tests = [it for it in read_fold("cae")["tests"] if it["protocol"] == "blind"]
    assert [(it["recipe"], it["validation_auroc"]) for it in tests] == [("mean_square", None)] * 2


def test_a_second_run_fits_nothing_and_writes_the_same_tables(study, no_pictures, capsys):
    names = ("crossval.csv", "folds.csv", "tests.csv", "crossval.md", "groups.csv")
    before = [Path("reports/tiny", name).read_bytes() for name in names]
    stage.crossval(study, OPTIONS)
    assert "0 folds to run" in capsys.readouterr().out
    assert [Path("reports/tiny", name).read_bytes() for name in names] == before


def test_results_of_other_numbers_are_not_used_and_that_is_said(study, no_pictures, capsys):
    values = {**study.values, "fit": {**study.values["fit"]}}
    values["fit"]["cae"] = {**values["fit"]["cae"], "learning_rate": 1e-5}
    stage.crossval(Params(study.path, values), replace(OPTIONS, only_table=True, keep=False))
    said = capsys.readouterr().out
    assert "not in the table: cae published/fold0" in said
    assert "not in the table: random" not in said


def test_a_run_elsewhere_starts_from_the_folds_that_were_kept(study, no_pictures, capsys):
    kept = Path("docs/results/tiny")
    assert {"crossval.csv", "folds.csv", "README.md", "folds", "figures"} <= {
        it.name for it in kept.iterdir()
    }
    assert "a command" in (kept / "README.md").read_text()
    shutil.rmtree("reports/tiny/crossval")
    stage.crossval(study, replace(OPTIONS, source=kept / "folds", keep=False))
    assert "0 folds to run" in capsys.readouterr().out
    assert (FOLDS / "cae/published_fold2.json").exists()


def test_tables_alone_can_be_made_of_the_folds_that_were_kept(study, no_pictures, capsys):
    shutil.rmtree("reports/tiny/crossval")
    kept = Path("docs/results/tiny/folds")
    stage.crossval(study, replace(OPTIONS, source=kept, only_table=True, keep=False))
    said = capsys.readouterr().out
    assert "folds to run" not in said
    assert "not in the table" not in said


def test_one_grouping_can_be_asked_for(study, no_pictures, capsys):
    everything = replace(OPTIONS, only_table=True, keep=False)
    both = {**study.values["crossval"], "grouped": [False, True]}
    params = Params(study.path, {**study.values, "crossval": both})
    stage.crossval(params, everything)
    assert "not in the table: cae grouped/fold0" in capsys.readouterr().out
    stage.crossval(params, replace(everything, grouped=(False,)))
    assert "not in the table" not in capsys.readouterr().out


def test_what_is_done_stays_in_the_table_whatever_was_asked_for(study, no_pictures, capsys):
    before = read_csv("reports/tiny/crossval.csv")
    both = {**study.values["crossval"], "grouped": [False, True]}
    params = Params(study.path, {**study.values, "crossval": both})
    options = replace(OPTIONS, only_table=True, keep=False, grouped=(True,), methods=("cae",))
    stage.crossval(params, options)
    assert "not in the table: cae grouped/fold0" in capsys.readouterr().out
    assert read_csv("reports/tiny/crossval.csv") == before


def test_each_fold_is_a_run_below_its_methods(study):
    from train import tracking

    client = tracking.open_client()
    experiment = client.get_experiment_by_name("tiny")
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = (it for it in runs if it.info.run_name == "crossval cae")
    children = [it for it in runs if it.data.tags.get(tracking.PARENT_TAG) == parent.info.run_id]
    assert len(children) == 3
    assert all("test_study_0_auroc" in it.data.metrics for it in children)


def test_groups_are_written_down(study):
    rows = read_csv("reports/tiny/groups.csv")
    assert len(rows) == 18
    assert {it["label"] for it in rows} == {"normal", "abnormal"}


def test_what_the_user_can_mend_is_said_before_anything_is_fitted(study, tmp_path, capsys):
    assert stage.main(["none.yaml"]) == 2
    assert "cannot read" in capsys.readouterr().err
