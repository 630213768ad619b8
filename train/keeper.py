"""A keeper: by its own rule, and from its own validation images alone, the best state of a fit.

One fit may serve several: under the `study` protocol one per half of the abnormal images, under
the `blind` one a keeper that sees none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from torch import Tensor

from train.usual import Usual
from train.validation import Validation

Rule = Literal["auroc", "loss", "last"]


@dataclass(slots=True, kw_only=True)
class Kept:
    """What a keeper holds: weights, the score recipe chosen with them, and why they were kept."""

    weights: dict[str, Tensor]
    score: str  # name of the score recipe
    usual: Usual  # what it compares with
    value: float  # what the rule maximises
    loss: float  # decides between equal values
    auroc: float | None  # of the chosen recipe; None: no abnormal image was seen
    record: int


@dataclass(slots=True, kw_only=True)
class Keeper:
    """Keeps by `rule` what is best on the validation images at `rows`.

    Where they are all normal, or all abnormal, `auroc` falls back to `loss`.
    """

    name: str
    rule: Rule
    score: str  # the recipe to keep to; empty: the best of each look by AUROC, or the first
    rows: np.ndarray  # of the validation images
    kept: Kept | None = None

    def look(self, seen: Validation, weights: Mapping[str, Tensor], record: int) -> None:
        """Keep these weights if the rule prefers them to what is kept, and they have not diverged.

        Args:
            seen: the look at this keeper's own rows.
            weights: copies; keepers that keep the same look share them.
        """
        score = self.score or _best(seen)
        value = self._value(seen, score, record)
        if not (math.isfinite(value) and math.isfinite(seen.loss)):
            return
        if self.kept is None or (value, -seen.loss) > (self.kept.value, -self.kept.loss):
            self.kept = Kept(
                weights=dict(weights),
                score=score,
                usual=seen.scorers[score].usual,
                value=value,
                loss=seen.loss,
                auroc=seen.auroc.get(score),
                record=record,
            )

    def _value(self, seen: Validation, score: str, record: int) -> float:
        if self.rule == "last":
            return record
        if self.rule == "loss" or not seen.compares:
            return -seen.loss
        return seen.auroc.get(score, math.nan)

    def put_aside(self) -> dict[str, Any] | None:
        """What is kept, as tensors, numbers and strings."""
        if self.kept is None:
            return None
        return {name: getattr(self.kept, name) for name in Kept.__dataclass_fields__}

    def resume(self, state: Mapping[str, Any] | None) -> None:
        """Go on from what `put_aside` said."""
        if state is not None:
            self.kept = Kept(**state)


def _best(seen: Validation) -> str:
    """The recipe with the highest AUROC; where nothing is compared, the first."""
    if not seen.auroc:
        return next(iter(seen.scores))
    return max(seen.auroc, key=lambda name: seen.auroc[name])
