"""Fit by gradient descent, having drawn the atlas of the training images where there is one."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning_fabric import Fabric
from torch.optim import Optimizer

from train.batches import Batches, at_once
from train.loops.gradient import fit_by_gradient
from train.loops.record import Record
from train.processes import made_alike


def fit_with_atlas(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each epoch; the atlas is drawn before the first, of unchanged images."""
    for epoch in records:
        if epoch == 0 and model.atlas is not None:
            model.atlas.draw(batches.unchanged(at_once(batches.images.shape[2:])))
            made_alike(fabric, model)
        yield from fit_by_gradient(fabric, model, optimizers, batches, [epoch])
