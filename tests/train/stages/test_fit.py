import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from infer.errors import UadError
from tests.train.tiny_configs import tiny
from tests.train.told_run import Told
from train import checkpoint, data, session, tracking
from train.alone import alone_at
from train.command import run_stage
from train.datasets.case import Case
from train.methods.cae import Cae
from train.networks.residual import Generator
from train.params import load
from train.recipes import RECIPES
from train.stages.fit import fit
from train.validation import validate_each

# Long enough for looks at validation to differ.
LONGER = {"cae": {"epochs": 6}, "fanogan": {"gan_steps": 3, "encoder_steps": 3}}
WATCHES = 2


def prepared(folder, abnormal):
    """Ten training and eight validation images of noise, brighter where abnormal."""
    chance = np.random.default_rng(0)
    splits = ["train"] * 10 + ["validation"] * 8
    normals = [True] * 14 + [not abnormal] * 4
    images = chance.random((18, 1, 32, 32), np.float32) / 2
    images[~np.array(normals)] += 0.5
    cases = [
        data.SplitCase(
            case=Case(scan=Path(f"{at}.png"), group=str(at), normal=normal, mask=None), split=split
        )
        for at, (split, normal) in enumerate(zip(splits, normals, strict=True))
    ]
    rows = [
        data.ImageRow(scan=it.case.scan, slice=0, split=it.split, normal=it.case.normal)
        for it in cases
    ]
    folder.mkdir(parents=True)
    data.save(folder, data.Prepared(cases=cases, rows=rows, images=images))


@pytest.fixture(params=[True], ids=["with abnormal images"])
def study(request, tmp_path, monkeypatch):
    """The default study's numbers, shrunk; the working directory is a folder of its own."""
    values = YAML(typ="safe").load(Path("params.yaml").read_text())
    values["data"]["image_size"] = [32, 32]
    for method, numbers in LONGER.items():
        values["fit"][method] = tiny(method, values["fit"][method]) | numbers
    monkeypatch.chdir(tmp_path)
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe").dump(values, file)
    prepared(Path("data/phantom"), abnormal=request.param)
    monkeypatch.setattr(session, "WATCHES", WATCHES)
    monkeypatch.setattr(session, "RESUME_SECONDS", -1)  # the state is put aside at every record
    return load("params.yaml")


def shared_weights(method):
    """Generator and critic, running statistics included, as the checkpoint holds them."""
    weights, _ = checkpoint.load(Path(f"models/phantom/{method}.safetensors"))
    return {name: it for name, it in weights.items() if name.startswith(("generator.", "critic."))}


@pytest.fixture
def run(monkeypatch):
    """Fit and return what the run was told."""

    def run(study, method, **options):
        told = Told(**options)
        monkeypatch.setattr(tracking, "start", lambda *given, **named: told)
        fit(study, method)
        return told

    return run


def test_other_numbers_start_afresh(study, run):
    with pytest.raises(KeyboardInterrupt):
        run(study, "cae", stop_at=3)
    study.values["fit"]["cae"]["learning_rate"] = 1e-4
    assert min(run(study, "cae").metrics) == 0


def test_a_fit_begins_anew_where_another_version_of_the_code_left_it(
    study, run, monkeypatch, capsys
):
    """Half of a fit by each is the fit of neither; nobody waits for the run that was left."""
    ended = []
    with pytest.raises(KeyboardInterrupt):
        run(study, "cae", stop_at=3)
    monkeypatch.setattr(session, "CODE", "edited since")
    monkeypatch.setattr(tracking, "end_lost", ended.append)
    assert min(run(study, "cae").metrics) == 0
    assert ended == ["run"]
    said = capsys.readouterr().err
    assert "models/phantom/cae.resume was left by another version of the code" in said


def test_two_fits_of_one_model_do_not_run_at_once(study, run):
    with pytest.raises(KeyboardInterrupt):
        run(study, "cae", stop_at=3)
    resume = Path("models/phantom/cae.resume")
    state = resume.read_bytes()
    with alone_at(resume), pytest.raises(UadError, match=r"is writing models/phantom/cae\.resume"):
        run(study, "cae")
    assert resume.read_bytes() == state
    assert min(run(study, "cae").metrics) == 3


def test_data_that_are_replaced_while_a_fit_reads_them_are_not_trained_on(study, monkeypatch, run):
    hashed = data.data_hash

    def hashed_and_replaced(name):
        found = hashed(name)
        shutil.rmtree("data/phantom")
        prepared(Path("data/phantom"), abnormal=False)
        return found

    monkeypatch.setattr("train.stages.fit.data_hash", hashed_and_replaced)
    with pytest.raises(UadError, match="data/phantom was prepared anew while it was read"):
        run(study, "cae")
    assert not Path("models").exists()


def test_the_same_seed_gives_the_same_metrics_and_another_seed_others(study, run):
    first, again = run(study, "cae").learned[5], run(study, "cae").learned[5]
    assert first == again
    study.values["fit"]["cae"]["seed"] = 1
    assert run(study, "cae").learned[5] != first


def test_the_kept_model_and_recipe_are_the_best_of_all_looks(study, run):
    told = run(study, "cae")
    looks = [
        value
        for metrics in told.metrics.values()
        for name, value in metrics.items()
        if name.startswith("auroc_")
    ]
    result = json.loads(Path("reports/phantom/fit/cae.json").read_text())
    assert result["validation_auroc"] == max(looks)
    kept = told.metrics[result["record"] - 1]
    assert kept[f"auroc_{result['score']}"] == max(looks)
    assert {"roc", "f1", "scores", "losses", "reconstructions"} <= {*told.pictures}
    assert told.status == "FINISHED"


@pytest.mark.parametrize("study", [False], indirect=True, ids=["without abnormal images"])
def test_without_abnormal_images_the_lowest_validation_loss_decides(study, run):
    told = run(study, "cae")
    result = json.loads(Path("reports/phantom/fit/cae.json").read_text())
    losses = [metrics["validation_loss"] for step, metrics in told.metrics.items() if step < 6]
    assert result["validation_loss"] == min(losses)
    assert result["score"] == study.names("scores")[0]


def test_a_fit_that_diverges_keeps_what_was_good_before_and_says_so(
    study, run, monkeypatch, capsys
):
    learn, records = Cae.training_loss, []

    def until_the_third_record(model, images):
        loss = learn(model, images)
        return loss._replace(total=loss.total * (math.nan if len(records) > 2 else 1))

    def counted(*given, **named):
        records.append(1)
        return validate_each(*given, **named)

    monkeypatch.setattr(Cae, "training_loss", until_the_third_record)
    monkeypatch.setattr(session, "validate_each", counted)
    run(study, "cae")
    result = json.loads(Path("reports/phantom/fit/cae.json").read_text())
    assert result["record"] <= 3
    assert math.isfinite(result["validation_loss"])
    weights, _ = checkpoint.load(Path("models/phantom/cae.safetensors"))
    assert all(it.isfinite().all() for it in weights.values() if it.is_floating_point())
    assert "is not finite at the end: the fit has diverged" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["cae", "vae", "dagmm", "gmvae"])
def test_a_fit_that_diverges_at_once_is_refused_in_words(study, run, method):
    study.values["fit"][method] = tiny(method, study.values["fit"][method])
    study.values["fit"][method]["learning_rate"] = 1e30
    with pytest.raises(UadError, match="the fit diverged") as refusal:
        run(study, method)
    assert "learning rate" in refusal.value.hint


def test_the_generator_is_watched_for_collapse_and_its_pictures_kept(study, run):
    told = run(study, "fanogan")
    assert "collapse_ratio" in told.metrics[0]
    assert any(name.startswith("generated/") for name in told.pictures)


def test_a_collapsed_generator_is_reported_when_the_fit_ends(study, run, monkeypatch, capsys):
    draw = Generator.forward
    monkeypatch.setattr(Generator, "forward", lambda self, latents: draw(self, 0 * latents))
    told = run(study, "fanogan")
    result = json.loads(Path("reports/phantom/fit/fanogan.json").read_text())
    assert result["collapse_ratio"] == told.metrics[5]["collapse_ratio"] < 0.01
    assert capsys.readouterr().err.count("fanogan: the generator has collapsed") == 1


def test_variants_have_the_generator_and_critic_of_their_method_bit_for_bit(study, run):
    run(study, "fanogan")
    gan = shared_weights("fanogan")
    for variant in ("fanogan-izi", "fanogan-ziz"):
        run(study, variant)
        others = shared_weights(variant)
        assert gan.keys() == others.keys()
        assert all(torch.equal(gan[name], others[name]) for name in gan), variant
        report = json.loads(Path(f"reports/phantom/fit/{variant}.json").read_text())
        assert report["shared_networks"]


def test_a_variant_that_differs_in_numbers_alone_is_a_fit_of_its_own(study, run):
    """Nothing is taken over, so its method need not have been fitted."""
    study.values["fit"]["cae-other"] = {"of": "cae", "seed": study.values["fit"]["cae"]["seed"] + 1}
    run(study, "cae-other")
    report = json.loads(Path("reports/phantom/fit/cae-other.json").read_text())
    assert not report["shared_networks"]
    run(study, "cae")
    own, of_cae = (
        checkpoint.load(Path(f"models/phantom/{name}.safetensors")) for name in ("cae-other", "cae")
    )
    assert own[1]["method"] == "cae-other"
    assert own[0].keys() == of_cae[0].keys()
    assert not all(torch.equal(own[0][name], of_cae[0][name]) for name in own[0])


def test_a_variant_of_a_method_that_is_not_fitted_is_refused(study, capsys):
    assert run_stage(fit, ["params.yaml", "fanogan-izi"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: models/phantom/fanogan.safetensors does not exist, "
        "whose generator and critic are to be shared",
        "hint:  run the fit stage of fanogan first",
    ]


def test_a_variant_starts_afresh_when_its_method_was_fitted_again(study, run):
    run(study, "fanogan")
    with pytest.raises(KeyboardInterrupt):
        run(study, "fanogan-izi", stop_at=2)
    numbers = study.values["fit"]["fanogan"]
    rate = numbers["gan_learning_rate"]
    numbers["gan_learning_rate"] = rate / 2
    run(study, "fanogan")
    numbers["gan_learning_rate"] = rate
    assert min(run(study, "fanogan-izi").metrics) == 0


def test_the_checkpoint_says_all_that_rebuilds_and_traces_the_model(study, run):
    run(study, "fanogan")
    _, metadata = checkpoint.load(Path("models/phantom/fanogan.safetensors"))
    assert json.loads(metadata["config"])["latent"] == 8
    assert metadata["score"] in study.names("scores")
    assert metadata["data_hash"] == data.data_hash("phantom")
    assert metadata["run_id"] == "run"


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # inside MLflow
def test_a_fit_is_a_run_in_the_store(study, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(Path.cwd()))
    monkeypatch.setenv("DVC_EXP_NAME", "brave-kiwi")
    monkeypatch.setattr(tracking, "SYSTEM_SECONDS", 0.1)
    fit(study, "cae")
    client = tracking.open_client()
    experiment = client.get_experiment_by_name("phantom")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.data.params["fit.epochs"] == "6"
    assert found.data.params["data.image_size"] == str(study.values["data"]["image_size"])
    assert found.data.params["split.scheme"] == "folds"
    assert found.data.params["train_images"] == "10"
    assert found.data.tags["DVC_EXP_NAME"] == "brave-kiwi"
    assert len(client.get_metric_history(found.info.run_id, "loss")) == 6
    assert any(name.startswith("system/") for name in found.data.metrics)
    pictures = {file.path for file in client.list_artifacts(found.info.run_id, "pictures")}
    assert "pictures/roc.png" in pictures
    _, metadata = checkpoint.load(Path("models/phantom/cae.safetensors"))
    assert metadata["run_id"] == found.info.run_id


def test_what_the_user_can_mend_is_two_lines_and_exit_code_2(study, capsys):
    assert run_stage(fit, ["params.yaml", "gpt"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: method 'gpt' is unknown",
        f"hint:  known methods: {', '.join(RECIPES)}",
    ]
