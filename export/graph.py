"""Model and score recipe in one graph with the contract every exported file keeps.

Input `image` (batch, channel, *spatial); outputs `anomaly_map` (batch, 1, *spatial), `score`
(batch,), `reconstruction` (as `image`, left out where a method has none), `score_<part>` (batch,).
"""

import torch
from torch import Tensor, nn

from train.methods.method import AnomalyModel
from train.scores import Scorer, ScoreRecipe
from train.shapes import Images


class ExportedGraph(nn.Module):
    """What the ONNX file computes: the outputs of `output_names`, in that order."""

    def __init__(self, model: AnomalyModel, scorer: Scorer) -> None:
        super().__init__()
        self.model = model
        self.scorer = scorer
        self.eval()  # a fresh wrapper is in training mode, whatever mode its child is in

    def forward(self, image: Images) -> tuple[Tensor, ...]:
        """Maps, scores, and what else the method says of a batch of images."""
        findings = self.model.findings(image)
        anomaly_map, score = self.scorer(findings)
        outputs = [anomaly_map, score]
        if findings.reconstruction is not None:
            outputs.append(findings.reconstruction)
        return (*outputs, *(findings.parts[name] for name in sorted(findings.parts)))


@torch.no_grad()
def output_names(graph: ExportedGraph, images: Images) -> tuple[str, ...]:
    """The names of the graph's outputs, which depend on what the method offers."""
    findings = graph.model.findings(images)
    reconstruction = () if findings.reconstruction is None else ("reconstruction",)
    parts = (f"score_{name}" for name in sorted(findings.parts))
    return ("anomaly_map", "score", *reconstruction, *parts)


def in_words(name: str, recipe: ScoreRecipe) -> str:
    """A score recipe as a reader of the manifest needs it, the graph holding the thing itself."""
    residual = {"absolute": "|evidence|", "bright": "evidence > 0", "dark": "evidence < 0"}
    steps = [f"map = {residual[recipe.polarity]}"]
    if recipe.denoising_px > 1:
        steps.append(f"of evidence averaged over {recipe.denoising_px} px")
    if recipe.smoothing_px > 1:
        steps.append(f"averaged over {recipe.smoothing_px} px")
    power = "map" if recipe.power == 1 else f"map^{recipe.power}"
    pixels = f"the highest {recipe.top_share:.3g} of the pixels (at least one)"
    score = f"score = mean of {power} over {'all' if recipe.top_share == 1 else pixels}"
    parts = "".join(f" + {weight:g} · {part}" for part, weight in recipe.parts.items())
    return f"{name}: {' '.join(steps)}; {score}{parts}"
