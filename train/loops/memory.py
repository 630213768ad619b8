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
        model.remember(_evenly(batches, model.config.remembered))
        made_alike(fabric, model)
        yield Record({}, candidate=True)


def _evenly(batches: Batches, most: int) -> torch.Tensor:
    """So many of all training images, from the first to the last, at even distances."""
    count = len(batches.images)
    rows = np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
    taken, start = [], 0
    for images in batches.unchanged(at_once(batches.images.shape[2:])):
        inside = rows[(rows >= start) & (rows < start + len(images))]
        taken.append(images[torch.from_numpy(inside - start)])
        start += len(images)
    return torch.cat(taken)
