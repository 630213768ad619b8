"""An energy magnifies the last digits of what it is made of: it must survive the export."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from export import onnx_file
from export.graph import ExportedGraph
from infer.engine import open_engine
from tests.export.tiny_graph import TINY_MANIFEST
from tests.train.methods.test_dagmm import dagmm
from train.params import load
from train.scores import Scorer, ScoreRecipe

SIZE = (64, 64)  # sums over so many pixels cost digits
RECIPE = load("params.yaml").blocks(ScoreRecipe, "scores")["energy"]


def images(count, seed):
    return torch.rand(count, 1, *SIZE, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def model():
    """Its mixture is that of images so alike that it is narrow."""
    model = dagmm(image_size=SIZE).eval()
    with torch.no_grad():
        model.store_mixture(*model.describe(images(32, 0)))
    return model


@pytest.fixture(scope="module")
def engine(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("energy") / "dagmm.onnx"
    graph = ExportedGraph(model, Scorer(RECIPE))
    onnx_file.write(
        path, onnx_file.to_onnx(graph, images(2, 0)), replace(TINY_MANIFEST, image_size=SIZE)
    )
    return open_engine(path, device="cpu", threads=1)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_exported_energy_agrees_with_torchs_to_four_digits_at_any_batch(model, engine, count):
    odd = images(count, 1) * torch.linspace(0.2, 1.0, SIZE[1])
    with torch.no_grad():
        expected = model.findings(odd).parts["energy"].numpy()
    found = engine.run(odd.numpy())
    assert model.mixture.whitening.max() > 100  # what is in the way: digits lost by the hundred
    np.testing.assert_allclose(found.score_parts["energy"], expected, rtol=1e-4)


def test_a_score_of_the_energy_alone_is_the_energy(engine):
    found = engine.run(images(3, 2).numpy())
    np.testing.assert_array_equal(found.score, found.score_parts["energy"])
