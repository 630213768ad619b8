from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import onnx_file
from export.graph import ExportedGraph
from infer.engine import open_engine, read_manifest
from tests.export.tiny_graph import SIZE, TINY_MANIFEST, tiny_graph
from tests.train.methods import test_cae, test_fanogan
from train.scores import Scorer, ScoreRecipe, scorers

PLAIN = ScoreRecipe(
    polarity="bright",
    denoising_px=3,
    standardised=False,
    smoothing_px=5,
    power=1,
    top_share=0.01,
    parts={},
    typicality="none",
)
METHODS = {"cae": test_cae.cae, "fanogan": test_fanogan.fanogan}


def images(count):
    return np.random.default_rng(count).random((count, 1, *SIZE), np.float32)


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_file_takes_any_batch_and_says_what_torch_says(tiny_engine, count):
    found = tiny_engine.run(images(count))
    with torch.no_grad():
        expected = tiny_graph()(torch.from_numpy(images(count)))
    outputs = (found.anomaly_map, found.score, found.reconstruction, found.score_parts["latent"])
    for array, tensor in zip(outputs, expected, strict=True):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, tensor.numpy(), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_the_contract_and_is_exported_quietly(method, tmp_path, capfd):
    graph = ExportedGraph(METHODS[method](), Scorer(PLAIN))
    model = onnx_file.to_onnx(graph, torch.from_numpy(images(2)))
    assert capfd.readouterr() == ("", "")
    onnx_file.write(tmp_path / "m.onnx", model, TINY_MANIFEST)
    engine = open_engine(tmp_path / "m.onnx", device="cpu", threads=1)
    for count in (1, 3):
        found = engine.run(images(count))
        assert found.anomaly_map.shape == found.reconstruction.shape == (count, 1, *SIZE)
        assert found.score.shape == (count,)
        assert (found.anomaly_map >= 0).all()


@pytest.mark.parametrize("typicality", ["score", "code"])
def test_a_score_that_looks_on_either_side_is_in_the_graph(typicality, tmp_path):
    model = test_cae.cae().eval()
    share = {"score": 0.01, "code": 0.0}[typicality]
    recipe = replace(PLAIN, top_share=share, typicality=typicality)
    with torch.no_grad():
        healthy = model.findings(torch.from_numpy(images(20)))
        (scorer,) = scorers({"typical": recipe}, healthy, healthy).values()
        graph = ExportedGraph(model, scorer)
        onnx_file.write(
            tmp_path / "m.onnx",
            onnx_file.to_onnx(graph, torch.from_numpy(images(2))),
            TINY_MANIFEST,
        )
        expected = graph.outputs(torch.from_numpy(images(5)))["score"].numpy()
    engine = open_engine(tmp_path / "m.onnx", device="cpu", threads=1)
    # Counted in spreads of scores that differ little: their rounding counts, too.
    np.testing.assert_allclose(engine.run(images(5)).score, expected, atol=1e-3)
    assert np.ptp(expected) > 0.1


def test_the_manifest_is_in_the_file(tiny_file):
    assert read_manifest(tiny_file) == TINY_MANIFEST


def test_weights_are_in_the_file_and_nothing_lies_beside_it(tiny_file):
    assert [it.name for it in tiny_file.parent.iterdir()] == ["tiny.onnx"]
    weights = onnx.load(tiny_file, load_external_data=False).graph.initializer
    assert all(it.data_location == onnx.TensorProto.DEFAULT for it in weights)


def test_no_path_of_the_exporting_machine_is_in_the_file(tiny_file):
    content = tiny_file.read_bytes()
    assert str(Path.cwd()).encode() not in content
    assert b".py" not in content


def test_one_image_is_too_few_to_trace_with():
    with pytest.raises(ValueError, match="two images"):
        onnx_file.to_onnx(tiny_graph(), torch.rand(1, 1, *SIZE))
