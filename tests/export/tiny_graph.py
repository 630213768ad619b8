"""A model of a few weights with a reconstruction and a score part, and its exported file."""

from dataclasses import replace

import torch
from torch import nn

from export import onnx_file
from export.graph import ExportedGraph
from tests.infer.tiny_model import MANIFEST
from train.methods.method import Findings, TrainingLoss
from train.scores import Scorer, ScoreRecipe

SIZE = (32, 32)
TINY_MANIFEST = replace(MANIFEST, study="tiny", method="tiny", image_size=SIZE)
RECIPE = ScoreRecipe(
    polarity="absolute",
    denoising_px=1,
    standardised=False,
    smoothing_px=3,
    power=2,
    top_share=0.1,
    parts={"latent": 0.5},
    typicality="none",
)


class TinyModel(nn.Module):
    """One convolution down, batch norm, one up."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.up = nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1)

    def training_loss(self, images):
        return TrainingLoss((images - self.findings(images).reconstruction).square().mean(), {})

    def findings(self, images):
        latent = self.norm(self.down(images))
        reconstruction = torch.sigmoid(self.up(latent))
        parts = {"latent": latent.flatten(1).square().mean(dim=1)}
        return Findings(images - reconstruction, reconstruction, parts)


def tiny_graph(recipe=RECIPE):
    torch.manual_seed(0)
    return ExportedGraph(TinyModel(), Scorer(recipe))


def write_tiny_graph(path):
    model = onnx_file.to_onnx(tiny_graph(), torch.rand(2, 1, *SIZE))
    onnx_file.write(path, model, TINY_MANIFEST)
    return path
