"""Model and score recipe in one graph with the contract every exported file keeps.

Input `image` (batch, channel, *spatial); outputs `anomaly_map` (batch, 1, *spatial), `score`
(batch,), `reconstruction` (as `image`, left out where a method has none), `score_<part>` (batch,).
"""

import torch
from torch import Tensor, nn

from train.methods.method import AnomalyModel, TellsOdds
from train.scores import Scorer, ScoreRecipe
from train.shapes import Images


class Graph(nn.Module):
    """What an ONNX file computes: `outputs` says it by name, in the order of the contract."""

    score_zero = 0.0  # what a score is that finds nothing, see `infer.manifest.SelfTest`

    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Maps, scores, and what else is said of a batch of images."""
        raise NotImplementedError

    def map_at_odds(self, odds: float) -> float | None:
        """The map's value where these are the odds of an anomaly; None: it tells no odds."""
        return None

    def forward(self, image: Images) -> tuple[Tensor, ...]:
        """The outputs without their names, as an exporter takes them."""
        return tuple(self.outputs(image).values())


class ExportedGraph(Graph):
    """One model under one score recipe."""

    def __init__(self, model: AnomalyModel, scorer: Scorer) -> None:
        super().__init__()
        self.model = model
        self.scorer = scorer
        self.eval()  # a fresh wrapper is in training mode, whatever mode its child is in

    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Map and score by the recipe, and what else the method says."""
        findings = self.model.findings(image)
        anomaly_map, score = self.scorer(findings)
        outputs = {"anomaly_map": anomaly_map, "score": score}
        if findings.reconstruction is not None:
            outputs["reconstruction"] = findings.reconstruction
        return outputs | {f"score_{name}": it for name, it in sorted(findings.parts.items())}

    def map_at_odds(self, odds: float) -> float | None:
        """Evidence at these odds, if the method tells odds and the map is evidence as it is."""
        recipe = self.scorer.recipe
        is_evidence = not recipe.standardised and recipe.polarity != "dark"
        if is_evidence and isinstance(self.model, TellsOdds):
            return self.model.evidence_at(odds)
        return None


@torch.no_grad()
def output_names(graph: Graph, images: Images) -> tuple[str, ...]:
    """The names of the graph's outputs, which depend on what its models offer."""
    return tuple(graph.outputs(images))


def in_words(name: str, recipe: ScoreRecipe) -> str:
    """A score recipe as a reader of the manifest needs it, the graph holding the thing itself."""
    residual = {"absolute": "|evidence|", "bright": "evidence > 0", "dark": "evidence < 0"}
    steps = [f"map = {residual[recipe.polarity]}"]
    if recipe.denoising_px > 1:
        steps.append(f"of evidence averaged over {recipe.denoising_px} px")
    if recipe.standardised:
        steps.append("standardised by that of healthy training images at its pixel")
    if recipe.smoothing_px > 1:
        steps.append(f"averaged over {recipe.smoothing_px} px")
    terms = [f"{weight:g} · {part}" for part, weight in recipe.parts.items()]
    if recipe.top_share > 0:
        power = "map" if recipe.power == 1 else f"map^{recipe.power}"
        pixels = f"the highest {recipe.top_share:.3g} of the pixels (at least one)"
        terms = [f"mean of {power} over {'all' if recipe.top_share == 1 else pixels}", *terms]
    score = " + ".join(terms)
    match recipe.typicality:
        case "score":
            score = f"distance of ({score}) from that of healthy training images, on either side"
        case "code":
            score = "Mahalanobis distance of the image's code from those of healthy training images"
    return f"{name}: {' '.join(steps)}; score = {score}"
