"""Training steps per second of f-AnoGAN: our loop against a bare one over the same networks.

python -m benchmarks.bench_fit [--params params.yaml] [--steps 10] [--repeats 3]

Ours draws, augments and logs as a fit does; the bare one descends on one batch in memory, again
and again. A step is one of the generator with its critic steps, or one of the encoder.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from benchmarks.machine import cores, keep, processor, table
from train.augment import Augmentation, AugmentConfig
from train.batches import Batches
from train.data import DataConfig
from train.methods.fanogan import FAnoGan, FAnoGanConfig
from train.params import Params, load
from train.precision import device_type, resolve
from train.recipes import find

IMAGES = 256  # of noise: what they show does not change how long a step takes


def main(arguments: Sequence[str]) -> None:
    """Measure both phases of f-AnoGAN, print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_fit")
    parser.add_argument("--params", default="params.yaml")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="fit", help="of the JSON under benchmarks/results")
    chosen = parser.parse_args(arguments)
    params = load(chosen.params)
    result: dict[str, Any] = {}
    for phase in ("gan", "encoder"):
        rates = measure(params, phase, steps=chosen.steps, repeats=chosen.repeats)
        result[phase] = {**rates, "ours_to_bare": rates["ours"] / rates["bare"]}
    rows = {
        f"{phase}, {name.replace('_', ' ')}": f"{value:8.2f}"
        for phase, found in result.items()
        for name, value in found.items()
    }
    title = f"f-AnoGAN of {chosen.params}, {cores()} cores, {processor()}: steps per second"
    print(table(title, rows))
    print(f"kept in {keep(chosen.name, {'params': chosen.params, 'steps_per_second': result})}")


def measure(params: Params, phase: str, *, steps: int, repeats: int) -> dict[str, float]:
    """Steps per second of both loops, turn by turn; the median counts."""
    loops = {"ours": our_loop(params, phase, steps), "bare": bare_loop(params, phase, steps)}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for loop in loops.values():
        loop()  # warm up
    for _ in range(repeats):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop()
            times[name].append(time.perf_counter() - start)
    return {name: steps / statistics.median(found) for name, found in times.items()}


def our_loop(params: Params, phase: str, steps: int) -> Callable[[], Any]:
    """One record of the fit as the stage does it, `steps` steps long."""
    config, data = configs(params, steps)
    precision = resolve(config.precision, device_type(config.device))
    fabric = Fabric(accelerator=config.device, devices=1, precision=precision)
    fabric.launch()
    model = FAnoGan(config, data.channels, data.image_size).to(fabric.device)
    noise = np.random.default_rng(0)
    batches = Batches(
        noise.random((IMAGES, data.channels, *data.image_size), dtype=np.float32),
        config.batch_size,
        change=Augmentation(
            params.block(AugmentConfig, "augment"), data.channels, len(data.image_size)
        ),
        intensity_range=config.intensity_range,
        device=fabric.device,
    )
    optimizers = model.optimizers()
    record = 0 if phase == "gan" else config.gan_records
    fit = find("fanogan").fit
    return lambda: list(fit(fabric, model, optimizers, batches, [record]))


def bare_loop(params: Params, phase: str, steps: int) -> Callable[[], None]:
    """The same networks and losses, and nothing around them."""
    config, data = configs(params, steps)
    device = "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"
    model = FAnoGan(config, data.channels, data.image_size).to(device)
    optimizers = model.optimizers()
    images = torch.rand(config.batch_size, data.channels, *data.image_size, device=device) * 2 - 1
    mixed = config.precision == "bf16-mixed"

    def descend(name: str, loss: Callable[[], torch.Tensor]) -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=mixed):
            value = loss()
        optimizers[name].zero_grad()
        value.backward()
        optimizers[name].step()

    def gan() -> None:
        for _ in range(steps):
            for _ in range(config.critic_steps):
                descend("critic", lambda: model.critic_loss(images).total)
            model.critic.requires_grad_(False)
            descend("generator", lambda: model.generator_loss(images))
            model.critic.requires_grad_(True)

    def encoder() -> None:
        model.freeze_gan()
        for _ in range(steps):
            descend("encoder", lambda: model.training_loss(images).total)

    return gan if phase == "gan" else encoder


def configs(params: Params, steps: int) -> tuple[FAnoGanConfig, DataConfig]:
    """The study's numbers, with records of `steps` steps."""
    config = params.block(FAnoGanConfig, "fit", "fanogan")
    precision = resolve(config.precision, device_type(config.device))
    config = replace(
        config, precision=precision, steps_per_record=steps, gan_steps=steps, encoder_steps=steps
    )
    return config, params.block(DataConfig, "data")


if __name__ == "__main__":
    main(sys.argv[1:])
