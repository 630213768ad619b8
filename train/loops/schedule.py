"""How the learning rate runs over a fit: up quickly, then down along half a cosine."""

import math

from torch.optim import Optimizer

WARM_UP = 0.05  # of the steps; without it, the first large steps can saturate an encoder for good


def share_of_rate(step: int, steps: int) -> float:
    """Of the full learning rate, at `step` of `steps`; above 0 at the first, near 0 at the last.

    >>> [round(share_of_rate(step, 100), 2) for step in (0, 4, 50, 99)]
    [0.2, 1.0, 0.5, 0.0]
    """
    warm = (step + 1) / max(1.0, WARM_UP * steps)
    return min(1.0, warm, 0.5 * (1 + math.cos(math.pi * step / steps)))


def set_rate(optimizer: Optimizer, full: float, step: int, steps: int) -> None:
    """Give an optimiser its learning rate for `step` of `steps`."""
    for group in optimizer.param_groups:
        group["lr"] = full * share_of_rate(step, steps)
