"""Fit by gradient descent on images and their labels, normal or abnormal."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning_fabric import Fabric
from torch.optim import Optimizer

from train.batches import Batches
from train.loops.gradient import descend, mean
from train.loops.record import Record


def fit_with_labels(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each epoch.

    The learning rate stays as it is: how many epochs there will be is not known, since the caller
    may stop when validation no longer improves.
    """
    optimizer = optimizers["model"]
    for epoch in records:
        if epoch == 0:
            model.begin(batches.abnormal)
        model.train()
        losses = []
        for _ in range(batches.per_epoch):
            images, abnormal = batches.labelled()
            with fabric.autocast():
                loss = model.labelled_loss(images, abnormal)
            descend(fabric, optimizer, loss.total)
            losses.append(loss.total.detach())
        yield Record({"loss": mean(losses)}, candidate=True)
