"""Signed evidence → anomaly map and one score per image: the recipes validation chooses from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.methods.method import Findings
from train.shapes import Evidence, Maps, Scores
from train.usual import Usual, usual_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecipe:
    """Map = polarity(evidence), averaged over channels and a square (cube) of `smoothing_px`;
    score = mean of the highest `top_share` of map**`power`, plus Σ weight · part.

    `denoising_px` averages the signed evidence before its polarity is taken: noise, whose signs
    alternate, cancels there, a lesion does not. `standardised` then asks how unusual the evidence
    is at its pixel: what a model always gets wrong about skull or ventricles is no finding. With
    a `top_share` of 0 the score is its parts.
    """

    polarity: Literal["absolute", "bright", "dark"]
    denoising_px: int  # odd; 1: none
    standardised: bool  # by mean and spread of the evidence of healthy training images
    smoothing_px: int  # odd; 1: none
    power: int  # 1: mean residual; 2: mean squared residual
    top_share: float  # of the pixels; at least one counts, so 1e-9 is the maximum; 0: none
    parts: dict[str, float]  # the method's own score parts and their weights; {} for none

    def __post_init__(self) -> None:
        for name in ("denoising_px", "smoothing_px"):
            if (side := getattr(self, name)) < 1 or side % 2 == 0:
                raise ValueError(f"{name} must be odd and at least 1, got {side}")
        if self.power < 1:
            raise ValueError(f"power must be at least 1, got {self.power}")
        if not 0 <= self.top_share <= 1:
            raise ValueError(f"top_share must lie in [0, 1], got {self.top_share}")
        if self.top_share == 0 and not self.parts:
            raise ValueError("top_share is 0 and there are no parts: nothing is left of the score")


class Scored(NamedTuple):
    """What a recipe makes of findings: 0 is as expected, larger is more anomalous."""

    anomaly_map: Maps
    score: Scores


class Scorer(nn.Module):
    """A score recipe as a module without weights, so that it can be part of an exported graph.

    Raises:
        ValueError: the recipe standardises, and by what is not given.
    """

    mean: Tensor  # of the usual evidence; where the recipe does not standardise, neither exists
    spread: Tensor

    def __init__(self, recipe: ScoreRecipe, usual: Usual | None = None) -> None:
        super().__init__()
        if recipe.standardised and usual is None:
            raise ValueError("a recipe that standardises needs the evidence of healthy images")
        self.recipe = recipe
        self.usual = usual if recipe.standardised else None
        for name, values in self.usual._asdict().items() if self.usual else ():
            self.register_buffer(name, values)

    def forward(self, findings: Findings) -> Scored:
        """Map and score of each image on its own."""
        denoised = smooth(findings.evidence, self.recipe.denoising_px)
        if self.recipe.standardised:
            denoised = (denoised - self.mean) / self.spread
        magnitude = _polarised(denoised, self.recipe.polarity).mean(dim=1, keepdim=True)
        anomaly_map = smooth(magnitude, self.recipe.smoothing_px)
        score = _mean_of_highest(anomaly_map**self.recipe.power, self.recipe.top_share)
        for name, weight in self.recipe.parts.items():
            score = score + weight * findings.parts[name]
        return Scored(anomaly_map, score)


def scorers(
    recipes: Mapping[str, ScoreRecipe], parts: Collection[str], healthy: Evidence | None
) -> dict[str, Scorer]:
    """A scorer for each recipe that a method can follow.

    Args:
        parts: names of the method's own score parts.
        healthy: evidence of healthy training images, as they are: nothing added, nothing turned.
            None where there is no such thing as usual at a pixel, as in patches: then recipes that
            standardise cannot be followed.
    """
    able = candidates(recipes, parts)
    if healthy is None:
        return {name: Scorer(recipe) for name, recipe in able.items() if not recipe.standardised}
    sides = {recipe.denoising_px for recipe in able.values() if recipe.standardised}
    usual = {side: usual_of(smooth(healthy, side)) for side in sides}
    return {name: Scorer(recipe, usual.get(recipe.denoising_px)) for name, recipe in able.items()}


def candidates(
    recipes: Mapping[str, ScoreRecipe], parts: Collection[str]
) -> dict[str, ScoreRecipe]:
    """The recipes a method can follow: those that name no score part it lacks."""
    return {name: recipe for name, recipe in recipes.items() if recipe.parts.keys() <= set(parts)}


def smooth(values: Evidence, side: int) -> Evidence:
    """Mean over a square (or cube) of `side`; at the border, of the pixels that exist.

    Zeros beyond the border would make it look healthier than it is.
    """
    if side == 1:
        return values
    if values.ndim == 5:  # axis by axis: the same means, of a cube of 7 in a sixteenth of the time
        for axis in range(3):
            values = _smooth_along(values, axis, side)
        return values
    return functional.avg_pool2d(values, side, stride=1, padding=side // 2, count_include_pad=False)


def _smooth_along(values: Evidence, axis: int, side: int) -> Tensor:
    """Means of volumes over `side` voxels along one axis."""
    sides, padding = [1, 1, 1], [0, 0, 0]
    sides[axis], padding[axis] = side, side // 2
    return functional.avg_pool3d(values, sides, stride=1, padding=padding, count_include_pad=False)


def _polarised(evidence: Evidence, polarity: str) -> Evidence:
    if polarity == "absolute":
        return evidence.abs()
    return torch.relu(evidence if polarity == "bright" else -evidence)


def _mean_of_highest(values: Maps, share: float) -> Scores:
    pixels = values.flatten(1)
    if share == 0:
        return torch.zeros_like(pixels[:, 0])  # a length would become a constant of the graph
    count = max(1, round(share * pixels.shape[1]))
    if count == pixels.shape[1]:
        return pixels.mean(dim=1)
    return pixels.topk(count, dim=1).values.mean(dim=1)
