"""Signed evidence → anomaly map and one score per image: the recipes validation chooses from."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from train.methods.method import Findings
from train.shapes import Evidence, Maps, Scores

MEAN_POOL = {2: functional.avg_pool2d, 3: functional.avg_pool3d}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecipe:
    """Map = polarity(evidence), averaged over channels and a square of `smoothing_px`;
    score = mean of the highest `top_share` of map**`power`, plus Σ weight · part.

    `denoising_px` averages the signed evidence before its polarity is taken: noise, whose signs
    alternate, cancels there, a lesion does not. With a `top_share` of 0 the score is its parts.
    """

    polarity: Literal["absolute", "bright", "dark"]
    denoising_px: int  # odd; 1: none
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
    """A score recipe as a module without weights, so that it can be part of an exported graph."""

    def __init__(self, recipe: ScoreRecipe) -> None:
        super().__init__()
        self.recipe = recipe

    def forward(self, findings: Findings) -> Scored:
        """Map and score of each image on its own."""
        denoised = smooth(findings.evidence, self.recipe.denoising_px)
        magnitude = _polarised(denoised, self.recipe.polarity).mean(dim=1, keepdim=True)
        anomaly_map = smooth(magnitude, self.recipe.smoothing_px)
        score = _mean_of_highest(anomaly_map**self.recipe.power, self.recipe.top_share)
        for name, weight in self.recipe.parts.items():
            score = score + weight * findings.parts[name]
        return Scored(anomaly_map, score)


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
    pool = MEAN_POOL[values.ndim - 2]
    return pool(values, side, stride=1, padding=side // 2, count_include_pad=False)


def _polarised(evidence: Evidence, polarity: str) -> Evidence:
    if polarity == "absolute":
        return evidence.abs()
    return torch.relu(evidence if polarity == "bright" else -evidence)


def _mean_of_highest(values: Maps, share: float) -> Scores:
    pixels = values.flatten(1)
    if share == 0:
        return pixels.new_zeros(len(pixels))
    count = max(1, round(share * pixels.shape[1]))
    if count == pixels.shape[1]:
        return pixels.mean(dim=1)
    return pixels.topk(count, dim=1).values.mean(dim=1)
