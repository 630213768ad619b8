"""Fit by gradient descent, then fit a mixture to what the model makes of all training images."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch.optim import Optimizer

from train.batches import Batches
from train.loops.gradient import fit_by_gradient
from train.loops.record import Record
from train.processes import made_alike

BATCH = 128  # images at a time: a matter of memory only


def fit_with_mixture(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each epoch, the mixture being that of the weights it leaves."""
    for record in fit_by_gradient(fabric, model, optimizers, batches, records):
        fit_mixture(model, batches)
        made_alike(fabric, model)
        yield record


def fit_mixture_only(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Take no step of descent: what a mixture finds in the codes of an untrained network."""
    for _ in records:
        fit_mixture(model, batches)
        made_alike(fabric, model)
        yield Record({}, candidate=True)


@torch.no_grad()
def fit_mixture(model: Any, batches: Batches) -> None:
    """Store the mixture of the whole training set: unchanged images, eval mode, full precision."""
    model.eval()
    described = [model.describe(images) for images in batches.unchanged(BATCH)]
    features, memberships = (torch.cat(it) for it in zip(*described, strict=True))
    model.store_mixture(features, memberships)
