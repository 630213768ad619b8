"""Exported graphs of real methods, as what is rewritten in fewer bits; and how to run them."""

import numpy as np
import onnxruntime
import torch

from export import onnx_file
from export.graph import ExportedGraph
from tests.export.tiny_graph import SIZE
from tests.train.methods import test_cae, test_dae, test_vae
from train.scores import Scorer, ScoreRecipe

METHODS = {"cae": test_cae.cae, "dae": test_dae.dae, "vae": test_vae.vae}
STRONGEST = ScoreRecipe(
    polarity="absolute",
    denoising_px=3,
    standardised=False,
    smoothing_px=1,
    power=1,
    top_share=0.01,
    parts={},
    typicality="none",
)


def images(count, seed=0):
    return np.random.default_rng(seed).random((count, 1, *SIZE), np.float32)


def exported(method):
    torch.manual_seed(0)
    graph = ExportedGraph(METHODS[method](), Scorer(STRONGEST))
    return onnx_file.to_onnx(graph, torch.from_numpy(images(2)))


def run(model, seen):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = [it.name for it in session.get_outputs()]
    return dict(zip(names, session.run(None, {"image": seen}), strict=True))
