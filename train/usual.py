"""What is usual of healthy images under a score recipe: tensors by name, see `train.scores`.

Kept beside a model's weights, under names that no network has.
"""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from train.shapes import Evidence

Usual: TypeAlias = Mapping[str, Tensor]  # empty for a recipe that compares with nothing

PREFIX = "usual."


def usual_of(evidence: Evidence) -> dict[str, Tensor]:
    """`mean` and `spread` `(1, channel, *spatial)` of the evidence of healthy images.

    What a model always gets wrong, pixel by pixel. The spread is the standard deviation plus its
    mean over all pixels: no pixel is beyond doubt.
    """
    spread = evidence.std(dim=0, keepdim=True, correction=0)
    tiny = torch.finfo(evidence.dtype).tiny  # evidence may be 0 everywhere
    return {
        "mean": evidence.mean(dim=0, keepdim=True),
        "spread": spread + spread.mean().clamp_min(tiny),
    }


def tensors_of(usual: Usual) -> dict[str, Tensor]:
    """As they go into a checkpoint."""
    return {PREFIX + name: it for name, it in usual.items()}


def taken_from(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A checkpoint's weights without what is usual, and that."""
    own = {name: tensor for name, tensor in weights.items() if not name.startswith(PREFIX)}
    usual = {
        name.removeprefix(PREFIX): tensor
        for name, tensor in weights.items()
        if name.startswith(PREFIX)
    }
    return own, usual
