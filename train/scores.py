"""Signed evidence → anomaly map and one score per image: the recipes validation chooses from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.methods.method import Findings
from train.shapes import Evidence, Latents, Maps, Scores
from train.typicality import distance, typical_of
from train.usual import Usual, usual_of

# What a recipe must know of healthy images.
_STANDARDISING = {False: (), True: ("mean", "spread")}
_TYPICAL = {"none": (), "score": ("centre", "whitening"), "code": ("centre", "whitening")}
MEAN_POOL = {2: functional.avg_pool2d, 3: functional.avg_pool3d}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecipe:
    """Map = polarity(evidence), averaged over channels and a square (cube) of `smoothing_px`;
    score = mean of the highest `top_share` of map**`power`, plus Σ weight · part.

    `denoising_px` averages the signed evidence before its polarity is taken: noise, whose signs
    alternate, cancels there, a lesion does not. `standardised` then asks how unusual the evidence
    is at its pixel: what a model always gets wrong about skull or ventricles is no finding. With
    a `top_share` of 0 the score is its parts.

    `typicality` takes the distance of that score from those of healthy training images instead, on
    either side; or, whatever the map, of an image's code from theirs: see `train.typicality`.
    """

    polarity: Literal["absolute", "bright", "dark"]
    denoising_px: int  # odd; 1: none
    standardised: bool  # by mean and spread of the evidence of healthy training images
    smoothing_px: int  # odd; 1: none
    power: int  # 1: mean residual; 2: mean squared residual. Of colours, of their mean residual
    top_share: float  # of the pixels; at least one counts, so 1e-9 is the maximum; 0: none
    parts: dict[str, float]  # the method's own score parts and their weights; {} for none
    typicality: Literal["none", "score", "code"]

    def __post_init__(self) -> None:
        for name in ("denoising_px", "smoothing_px"):
            if (side := getattr(self, name)) < 1 or side % 2 == 0:
                raise ValueError(f"{name} must be odd and at least 1, got {side}")
        if self.power < 1:
            raise ValueError(f"power must be at least 1, got {self.power}")
        if not 0 <= self.top_share <= 1:
            raise ValueError(f"top_share must lie in [0, 1], got {self.top_share}")
        if self.typicality == "code":
            if self.top_share or self.parts:
                raise ValueError(
                    "with typicality: code the code alone is the score: top_share must be 0 and "
                    "parts {}"
                )
        elif self.top_share == 0 and not self.parts:
            raise ValueError("top_share is 0 and there are no parts: nothing is left of the score")

    @property
    def compares(self) -> bool:
        """Whether it needs to know what healthy images are like."""
        return self.standardised or self.typicality != "none"


class Scored(NamedTuple):
    """What a recipe makes of findings: 0 is as expected, larger is more anomalous."""

    anomaly_map: Maps
    score: Scores


class Scorer(nn.Module):
    """A score recipe as a module without weights, so that it can be part of an exported graph.

    Raises:
        ValueError: the recipe compares with healthy images, and what they are like is not given.
    """

    mean: Tensor  # of the usual evidence; where the recipe does not standardise, neither exists
    spread: Tensor
    centre: Tensor  # of typical scores or codes; as above
    whitening: Tensor

    def __init__(self, recipe: ScoreRecipe, usual: Usual | None = None) -> None:
        super().__init__()
        needed = (*_STANDARDISING[recipe.standardised], *_TYPICAL[recipe.typicality])
        self.usual = {name: it for name, it in (usual or {}).items() if name in needed}
        if missing := set(needed) - self.usual.keys():
            raise ValueError(
                f"this recipe compares with healthy images, whose {' and '.join(sorted(missing))} "
                "it was not given"
            )
        self.recipe = recipe
        for name, values in self.usual.items():
            self.register_buffer(name, values)

    def forward(self, findings: Findings) -> Scored:
        """Map and score of each image on its own."""
        denoised = smooth(findings.evidence, self.recipe.denoising_px)
        if self.recipe.standardised:
            denoised = (denoised - self.mean) / self.spread
        magnitude = _polarised(denoised, self.recipe.polarity).mean(dim=1, keepdim=True)
        anomaly_map = smooth(magnitude, self.recipe.smoothing_px)
        score = _mean_of_highest(_power(anomaly_map, self.recipe.power), self.recipe.top_share)
        for name, weight in self.recipe.parts.items():
            score = score + weight * findings.parts[name]
        if self.recipe.typicality == "code":
            score = distance(_code_of(findings), self.centre, self.whitening)
        elif self.recipe.typicality == "score":
            score = distance(score[:, None], self.centre, self.whitening)
        return Scored(anomaly_map, score)


def scorers(
    recipes: Mapping[str, ScoreRecipe], findings: Findings, healthy: Findings | None
) -> dict[str, Scorer]:
    """A scorer for each recipe that a method can follow.

    Args:
        findings: of any images: they tell what the method offers.
        healthy: findings of healthy training images, as they are: nothing added, nothing turned.
            None where there is no such thing as usual at a pixel, as in patches: then recipes that
            compare with healthy images cannot be followed.
    """
    able = candidates(recipes, findings)
    if healthy is None:
        return {name: Scorer(recipe) for name, recipe in able.items() if not recipe.compares}
    sides = {recipe.denoising_px for recipe in able.values() if recipe.standardised}
    usual = {side: usual_of(smooth(healthy.evidence, side)) for side in sides}
    return {
        name: Scorer(recipe, usual.get(recipe.denoising_px, {}) | _typical(recipe, usual, healthy))
        for name, recipe in able.items()
    }


def candidates(recipes: Mapping[str, ScoreRecipe], findings: Findings) -> dict[str, ScoreRecipe]:
    """The recipes a method can follow: those that ask for no score part, and no code, it lacks."""
    return {
        name: recipe
        for name, recipe in recipes.items()
        if recipe.parts.keys() <= findings.parts.keys()
        and (recipe.typicality != "code" or findings.code is not None)
    }


def smooth(values: Evidence, side: int) -> Evidence:
    """Mean over a square (or cube) of `side`; at the border, of the pixels that exist.

    Zeros beyond the border would make it look healthier than it is.
    """
    if side == 1:
        return values
    # Axis by axis: the same means, of a square of 7 in a third, of a cube in a sixteenth of the
    # time.
    for axis in range(values.ndim - 2):
        values = _smooth_along(values, axis, side)
    return values


def _smooth_along(values: Evidence, axis: int, side: int) -> Tensor:
    """Means of images or volumes over `side` pixels along one axis."""
    axes = values.ndim - 2
    sides, padding = [1] * axes, [0] * axes
    sides[axis], padding[axis] = side, side // 2
    mean_pool = MEAN_POOL[axes]
    return mean_pool(values, sides, stride=1, padding=padding, count_include_pad=False)


def _typical(
    recipe: ScoreRecipe, usual: Mapping[int, Usual], healthy: Findings
) -> dict[str, Tensor]:
    """What the scores or codes of healthy images are like, where a recipe asks for it."""
    match recipe.typicality:
        case "none":
            return {}
        case "code":
            return typical_of(_code_of(healthy))
        case "score":
            plain = Scorer(replace(recipe, typicality="none"), usual.get(recipe.denoising_px))
            return typical_of(plain(healthy).score[:, None])


def _code_of(findings: Findings) -> Latents:
    if findings.code is None:
        raise ValueError("the method has no code of an image: use typicality: score")
    return findings.code


def _polarised(evidence: Evidence, polarity: str) -> Evidence:
    if polarity == "absolute":
        return evidence.abs()
    return torch.relu(evidence if polarity == "bright" else -evidence)


def _power(values: Maps, exponent: int) -> Maps:
    """By multiplication: ONNX Runtime's power takes ten times as long."""
    product = values
    for _ in range(exponent - 1):
        product = product * values
    return product


def _mean_of_highest(values: Maps, share: float) -> Scores:
    pixels = values.flatten(1)
    if share == 0:
        return torch.zeros_like(pixels[:, 0])  # a length would become a constant of the graph
    count = max(1, round(share * pixels.shape[1]))
    if count == pixels.shape[1]:
        return pixels.mean(dim=1)
    return pixels.topk(count, dim=1).values.mean(dim=1)
