"""Fit by remembering: the model keeps what it is shown, and takes no step, or steps after that."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.optim import Optimizer

from train.batches import Batches, at_once
from train.loops.atlas import fit_with_atlas
from train.loops.record import Record
from train.networks.memory import Memory
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
        _remember(model, batches)
        made_alike(fabric, model)
        yield Record({}, candidate=True)


def fit_with_memory(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each epoch of descent; its memory is filled before the first."""
    for epoch in records:
        if epoch == 0:
            _remember(model.memory, batches)
            made_alike(fabric, model)
        yield from fit_with_atlas(fabric, model, optimizers, batches, [epoch])


def _remember(memory: Memory, batches: Batches) -> None:
    rows = _evenly(len(batches.images), memory.numbers.remembered)
    known = batches.unchanged(at_once(batches.images.shape[2:]), rows)
    memory.remember(torch.cat(list(known)))


def _evenly(count: int, most: int) -> np.ndarray:
    """At most so many of `count` rows, from the first to the last, at even distances."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int))
