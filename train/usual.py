"""What the evidence of healthy images is like, pixel by pixel: what a model always gets wrong.

Kept beside a model's weights, under names that no network has.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from train.shapes import Evidence

PREFIX = "usual."


class Usual(NamedTuple):
    """Both `(1, channel, *spatial)`."""

    mean: Tensor
    spread: Tensor  # standard deviation, plus its mean over all pixels: no pixel is beyond doubt


def usual_of(evidence: Evidence) -> Usual:
    """Mean and spread of the evidence of healthy images."""
    spread = evidence.std(dim=0, keepdim=True, correction=0)
    tiny = torch.finfo(evidence.dtype).tiny  # evidence may be 0 everywhere
    return Usual(evidence.mean(dim=0, keepdim=True), spread + spread.mean().clamp_min(tiny))


def tensors_of(usual: Usual | None) -> dict[str, Tensor]:
    """As they go into a checkpoint."""
    return {} if usual is None else {PREFIX + name: it for name, it in usual._asdict().items()}


def taken_from(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Usual | None]:
    """A checkpoint's weights without it, and what was in it."""
    own = {name: tensor for name, tensor in weights.items() if not name.startswith(PREFIX)}
    found = {it: weights[PREFIX + it] for it in Usual._fields if PREFIX + it in weights}
    return own, Usual(**found) if found else None
