"""Signed evidence → anomaly map and one score per image: the recipes validation chooses from."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRecipe:
    """Map = polarity(evidence), averaged over channels and a square of `smoothing_px`;
    score = mean of the highest `top_share` of map**`power`, plus Σ weight · part."""

    polarity: Literal["absolute", "bright", "dark"]
    smoothing_px: int  # odd; 1: none
    power: int  # 1: mean residual; 2: mean squared residual
    top_share: float  # of the pixels, in (0, 1]; at least one pixel counts, so 1e-9 is the maximum
    parts: dict[str, float]  # the method's own score parts and their weights; {} for none
