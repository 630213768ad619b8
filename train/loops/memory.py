"""Fit by remembering: no step is taken, the model keeps what it is shown."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.optim import Optimizer

from train.batches import Batches, at_once
from train.loops.record import Record
from train.processes import made_alike


def fit_by_remembering(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield once the model remembers the training images, unchanged, or as many as it can."""
    for _ in records:
        model.eval()
        rows = _evenly(len(batches.images), model.config.remembered)
        known = batches.unchanged(at_once(batches.images.shape[2:]), rows)
        model.remember(torch.cat(list(known)))
        made_alike(fabric, model)
        yield Record({}, candidate=True)


def _evenly(count: int, most: int) -> np.ndarray:
    """At most so many of `count` rows, from the first to the last, at even distances."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
