"""Checkpoints of before methods could look at volumes, and the names of their fits."""

import json
from dataclasses import asdict, make_dataclass, replace

import pytest

from export.fitted import load_fitted
from tests.train.methods.test_cae import cae
from tests.train.methods.test_fpi import fpi
from train import checkpoint
from train.data import DataConfig
from train.fitting import task_of
from train.params import load
from train.scores import ScoreRecipe

PARAMS = load("params.yaml")


def save_as_before(path, model, key):
    """A checkpoint of when configs did not have this key."""
    config = asdict(model.config)
    del config[key]
    recipe = PARAMS.block(ScoreRecipe, "scores", "mean_square")
    metadata = {
        "config": json.dumps(config),
        "score": "mean_square",
        "score_recipe": json.dumps(asdict(recipe)),
    }
    checkpoint.save(path, model.state_dict(), metadata)


def test_an_older_checkpoint_is_one_of_slices(tmp_path):
    save_as_before(tmp_path / "cae.safetensors", cae(), "spatial_dims")
    data = PARAMS.block(DataConfig, "data")
    fitted = load_fitted(tmp_path / "cae.safetensors", "cae", data)
    assert fitted.graph.model.config.spatial_dims == 2


@pytest.mark.parametrize("method", ["cae", "vae"])
def test_a_fit_of_slices_keeps_the_name_that_it_had_and_one_of_volumes_has_its_own(method):
    task = task_of(PARAMS, method, "hash", {})
    without = {name: it for name, it in asdict(task.config).items() if name != "spatial_dims"}
    before = make_dataclass("Before", without)(**without)
    as_before = replace(task, config=before)
    assert as_before.fingerprint == task.fingerprint
    volumes = replace(task, config=replace(task.config, spatial_dims=3))
    assert volumes.fingerprint != task.fingerprint


def test_a_checkpoint_of_before_a_later_key_is_read_as_if_it_said_what_was_so_then(tmp_path):
    model = fpi()
    save_as_before(tmp_path / "fpi.safetensors", model, "mirror")
    data = replace(PARAMS.block(DataConfig, "data"), image_size=(32, 32))
    fitted = load_fitted(tmp_path / "fpi.safetensors", "fpi", data)
    assert fitted.graph.model.config == model.config
