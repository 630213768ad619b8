"""Fit generator against critic, then an encoder to the frozen pair."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from train.batches import Batches
from train.loops.gradient import descend, gradient_step, mean, means
from train.loops.record import Record
from train.loops.schedule import set_rate


def fit_adversarially(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each `steps_per_record` steps of the generator, later of the encoder."""
    for record in records:
        model.train()
        if record < model.config.gan_records:
            losses = _play(fabric, model, optimizers, batches, record)
            yield Record(losses, candidate=False)
        else:
            model.freeze_gan()
            stretch = record - model.config.gan_records
            losses = _encode(fabric, model, optimizers, batches, stretch)
            yield Record(losses, candidate=True)


def _play(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    stretch: int,
) -> dict[str, float]:
    """The game's `stretch`-th stretch: some critic steps, then one of the generator, and so on."""
    terms: dict[str, list[Tensor]] = {
        name: [] for name in ("critic_loss", "wasserstein", "penalty", "generator_loss")
    }
    config = model.config
    first = stretch * config.steps_per_record
    for step in range(first, first + config.steps_per_record):
        for player in ("generator", "critic"):
            set_rate(optimizers[player], config.gan_learning_rate, step, config.gan_steps)
        for _ in range(config.critic_steps):
            images = next(batches)  # augmented in all digits, as for every other loss
            with fabric.autocast():
                loss = model.critic_loss(images)
            descend(fabric, optimizers["critic"], loss.total)
            terms["critic_loss"].append(loss.total.detach())
            terms["wasserstein"].append(loss.wasserstein.detach())
            terms["penalty"].append(loss.penalty.detach())
        terms["generator_loss"].append(_deceive(fabric, model, optimizers, next(batches)))
    return {name: mean(values) for name, values in terms.items()}


def _deceive(
    fabric: Fabric, model: Any, optimizers: Mapping[str, Optimizer], images: Tensor
) -> Tensor:
    model.critic.requires_grad_(False)  # its gradients would be computed for nothing
    with fabric.autocast():
        loss: Tensor = model.generator_loss(images)
    descend(fabric, optimizers["generator"], loss)
    model.critic.requires_grad_(True)
    return loss.detach()


def _encode(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    stretch: int,
) -> dict[str, float]:
    """The encoder's `stretch`-th stretch of steps."""
    optimizer, config = optimizers["encoder"], model.config
    losses = []
    first = stretch * config.steps_per_record
    for step in range(first, first + config.steps_per_record):
        set_rate(optimizer, config.encoder_learning_rate, step, config.encoder_steps)
        losses.append(gradient_step(fabric, model.training_loss, optimizer, next(batches)))
    return means("encoder_loss", losses)
