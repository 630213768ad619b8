"""A fit with several keepers: each is deaf to the images of the others."""

import time

import numpy as np
import pytest
import torch

from tests.train.tiny_configs import tiny
from tests.train.told_run import Told
from train import checkpoint, session, tracking
from train.data import PreparedAnewError
from train.fitting import fitted, task_of
from train.keeper import Keeper
from train.methods.cae import Cae
from train.params import BadParamsError, Params, load
from train.stored_images import StoredImages
from train.task import Images
from train.validation import HEALTHY

NORMAL, ABNORMAL = 6, 8  # validation images; abnormal ones in two halves


@pytest.fixture
def params(tmp_path, monkeypatch):
    found = load("params.yaml")
    values = dict(found.values)
    values["fit"] = {"cae": {**tiny("cae", values["fit"]["cae"]), "epochs": 4}}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tracking, "start", lambda *given, **named: Told())
    return Params(found.path, values)


def keepers(blind_rule, blind_score="mean_absolute"):
    normal, half = np.arange(NORMAL), np.arange(NORMAL, NORMAL + ABNORMAL // 2)
    return [
        Keeper(name="study_0", rule="auroc", score="", rows=np.concatenate([normal, half])),
        Keeper(
            name="study_1",
            rule="auroc",
            score="",
            rows=np.concatenate([normal, half + ABNORMAL // 2]),
        ),
        Keeper(name="blind", rule=blind_rule, score=blind_score, rows=normal),
    ]


def fit(
    params,
    abnormal_images,
    folder,
    *,
    blind_rule="loss",
    blind_score="mean_absolute",
    place=lambda images: images,
):
    """Fit to noise, which lies at some `place`; the keepers, with what they wrote."""
    chance = np.random.default_rng(0)
    train = place(chance.random((8, 1, 32, 32), np.float32) / 2)
    normal = chance.random((NORMAL, 1, 32, 32), np.float32) / 2
    held = keepers(blind_rule, blind_score)
    with fitted(
        task_of(params, "cae", "hash", {}),
        shared={},
        train=train,
        train_abnormal=np.zeros(8, bool),
        validation=np.concatenate([normal, abnormal_images]),
        abnormal=np.arange(NORMAL + ABNORMAL) >= NORMAL,
        keepers=held,
        resume_path=folder / "cae.resume",
        run_name="cae",
        parent_run="",
        told={},
    ) as (session, run):
        for keeper in held:
            session.keep(run, keeper, folder / f"{keeper.name}.safetensors", pictures=False)
    return held


def images(seed, bright):
    drawn = np.random.default_rng(seed).random((ABNORMAL, 1, 32, 32), np.float32)
    return drawn / 2 + bright


@pytest.mark.parametrize("blind_rule", ["last", "loss"])
def test_a_blind_keeper_keeps_the_same_whatever_the_abnormal_images_are(
    params, tmp_path, blind_rule
):
    for name, abnormal in (("first", images(1, 0.0)), ("second", images(2, 0.5))):
        fit(params, abnormal, tmp_path / name, blind_rule=blind_rule)
    first, second = (
        checkpoint.load(tmp_path / name / "blind.safetensors") for name in ("first", "second")
    )
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    assert first[1]["score"] == second[1]["score"] == "mean_absolute"
    assert first[1]["validation"].split('"fit_seconds"')[0].count("auroc") == 0


def test_a_fit_from_the_disk_arrives_at_the_weights_of_one_from_memory(params, tmp_path):
    def on_the_disk(images):
        np.save(tmp_path / "images.npy", images[::-1])  # in another order than they are shown in
        store = np.load(tmp_path / "images.npy", mmap_mode="r")
        return StoredImages(store, np.arange(len(images))[::-1])

    fit(params, images(1, 0.0), tmp_path / "memory")
    fit(params, images(1, 0.0), tmp_path / "disk", place=on_the_disk)
    first, second = (
        checkpoint.load(tmp_path / name / "blind.safetensors")[0] for name in ("memory", "disk")
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_share_of_time_spent_waiting_is_told_as_it_is(params, tmp_path, monkeypatch):
    told = Told()
    monkeypatch.setattr(tracking, "start", lambda *given, **named: told)

    class Slow(StoredImages):
        def __getitem__(self, at):
            time.sleep(0.2)
            return super().__getitem__(at)

    def slow(images):
        return Slow(images, np.arange(len(images)))

    fit(params, images(1, 0.0), tmp_path / "fast")
    fast = told.metrics[params.values["fit"]["cae"]["epochs"]]["blind/kept_data_wait_share"]
    fit(params, images(1, 0.0), tmp_path / "slow", place=slow)
    last = params.values["fit"]["cae"]["epochs"]
    assert all(0 <= told.metrics[at]["data_wait_share"] <= 1 for at in range(last))
    assert 0 <= fast < told.metrics[last]["blind/kept_data_wait_share"] <= 1


def test_a_half_decides_nothing_for_the_other(params, tmp_path):
    abnormal = images(1, 0.1)
    other = abnormal.copy()
    other[ABNORMAL // 2 :] = images(3, 0.5)[ABNORMAL // 2 :]
    first = fit(params, abnormal, tmp_path / "first")[0].kept
    second = fit(params, other, tmp_path / "second")[0].kept
    assert (first.record, first.score, first.auroc) == (second.record, second.score, second.auroc)


@pytest.mark.parametrize(("rule", "goes_on"), [("loss", True), ("last", False)])
def test_a_fit_whose_keepers_go_by_another_rule_begins_anew(
    params, tmp_path, monkeypatch, capsys, rule, goes_on
):
    """What they keep is what the rule says of every look, not of those that were left."""
    monkeypatch.setattr(session, "RESUME_SECONDS", 0.0)
    fit(params, images(1, 0.1), tmp_path, blind_rule="loss")
    capsys.readouterr()
    fit(params, images(1, 0.1), tmp_path, blind_rule=rule)
    assert ("goes on at record" in capsys.readouterr().out) == goes_on


def test_a_whole_fit_is_kept_though_code_was_mended_since(params, tmp_path, monkeypatch, capsys):
    """What failed after it, in the test of its file say, is no reason to fit again."""
    monkeypatch.setattr(session, "RESUME_SECONDS", 0.0)
    fit(params, images(1, 0.1), tmp_path)
    monkeypatch.setattr(session, "CODE", "mended since")
    capsys.readouterr()
    fit(params, images(1, 0.1), tmp_path)
    assert "goes on at record" in capsys.readouterr().out


def test_what_healthy_images_are_is_asked_of_all_of_them_evenly(params):
    count = 3 * HEALTHY
    rising = np.linspace(0, 1, count, dtype=np.float32).reshape(-1, 1, 1, 1)
    given = Images(
        train=np.broadcast_to(rising, (count, 1, 32, 32)),
        train_abnormal=np.arange(count) >= count - HEALTHY,  # the last third
        validation=torch.empty(0, 1, 32, 32),
        abnormal=np.empty(0, bool),
    )
    config = task_of(params, "cae", "hash", {}).config
    found = session.healthy_images(given, config, torch.device("cpu"))
    assert len(found) == HEALTHY
    assert found.mean() == pytest.approx(1 / 3, abs=0.01)
    assert found.max() < 2 / 3


def test_the_metrics_of_several_keepers_are_told_apart(params, tmp_path, monkeypatch):
    told = Told()
    monkeypatch.setattr(tracking, "start", lambda *given, **named: told)
    fit(params, images(1, 0.1), tmp_path)
    assert {"validation_auroc_study_0", "validation_auroc_study_1"} <= told.metrics[0].keys()
    assert "validation_auroc_blind" not in told.metrics[0]


def test_processes_that_read_other_data_do_not_fit_together(params, tmp_path, monkeypatch):
    monkeypatch.setattr("train.fitting.of_each", lambda fabric, word: [word, "other"])
    with pytest.raises(PreparedAnewError):
        fit(params, np.ones((ABNORMAL, 1, 32, 32), np.float32), tmp_path)


def test_a_recipe_that_the_method_cannot_follow_is_refused_before_anything_is_learned(
    params, tmp_path, monkeypatch
):
    monkeypatch.setattr(Cae, "training_loss", lambda *given: pytest.fail("it has learned"))
    with pytest.raises(BadParamsError, match="cae cannot follow the score recipe 'energy'"):
        fit(params, images(1, 0.0), tmp_path, blind_score="energy")
