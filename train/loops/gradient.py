"""Fit by gradient descent on the model's own training loss."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from train.batches import Batches
from train.loops.record import Record
from train.loops.schedule import set_rate
from train.methods.method import TrainingLoss

LossOf = Callable[[Tensor], TrainingLoss]


def fit_by_gradient(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each epoch.

    A generator, so that logging, checkpoints and early stopping stay with the caller.
    """
    optimizer, config = optimizers["model"], model.config
    for epoch in records:
        model.train()
        losses = []
        for step in range(epoch * batches.per_epoch, (epoch + 1) * batches.per_epoch):
            set_rate(optimizer, config.learning_rate, step, config.epochs * batches.per_epoch)
            losses.append(gradient_step(fabric, model.training_loss, optimizer, next(batches)))
        yield Record(means("loss", losses), candidate=True)


def gradient_step(
    fabric: Fabric, loss_of: LossOf, optimizer: Optimizer, images: Tensor
) -> TrainingLoss:
    """One descent on the loss of these images; what it was before, still on the device."""
    with fabric.autocast():
        loss = loss_of(images)
    descend(fabric, optimizer, loss.total)
    return TrainingLoss(loss.total.detach(), {it: term.detach() for it, term in loss.terms.items()})


def descend(fabric: Fabric, optimizer: Optimizer, loss: Tensor) -> None:
    """Step along the gradient of `loss`, averaged over the processes.

    We average gradients ourselves instead of wrapping the model: a wrapper sees `forward` only,
    and refuses the second-order gradients of a gradient penalty.
    """
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if fabric.world_size > 1:
        _average_over_processes(fabric, optimizer)
    optimizer.step()


def means(name: str, losses: list[TrainingLoss]) -> dict[str, float]:
    """Mean of the totals as `name`, and of each term as `name`_term."""
    terms = {it: mean([loss.terms[it] for loss in losses]) for it in losses[0].terms}
    total = mean([loss.total for loss in losses])
    return {name: total, **{f"{name}_{it}": value for it, value in terms.items()}}


def mean(losses: list[Tensor]) -> float:
    """Mean of scalars; one transfer from the device instead of one per step."""
    return float(torch.stack(losses).float().mean())


def _average_over_processes(fabric: Fabric, optimizer: Optimizer) -> None:
    gradients = [
        parameter.grad
        for group in optimizer.param_groups
        for parameter in group["params"]
        if parameter.grad is not None
    ]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    averaged = fabric.all_reduce(together, reduce_op="mean")
    assert isinstance(averaged, Tensor)  # a tensor in, a tensor out
    shares = averaged.split([gradient.numel() for gradient in gradients])
    for gradient, share in zip(gradients, shares, strict=True):
        gradient.copy_(share.view_as(gradient))
