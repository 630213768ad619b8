"""The processes that fit one model together: how many, started by whom, and what they agree on.

Started by `torchrun` or `fabric run`, the launcher says how many they are; otherwise a fit starts
as many as its number `devices` says.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from lightning_fabric import Fabric
from torch import distributed

from train.params import BadParamsError, Params
from train.precision import device_type, resolve, warning_of

OF_LAUNCHER = ("WORLD_SIZE", "LOCAL_WORLD_SIZE")  # as torchrun sets them
OF_FABRIC_RUN = "LT_CLI_USED"


class Count(NamedTuple):
    """How many processes there are to be."""

    each: int  # on each machine
    machines: int
    launched: bool  # there are so many already

    @property
    def all(self) -> int:
        return self.each * self.machines


def count_of(config: Any) -> Count:
    """As many as a launcher has started, or as `devices` says.

    Raises:
        BadParamsError: a launcher started another number than `devices` asks for, or not as many on
            each machine.
    """
    if any(name not in os.environ for name in OF_LAUNCHER):
        return Count(config.devices, 1, launched=False)
    total, each = (int(os.environ[name]) for name in OF_LAUNCHER)
    if total % each:
        raise BadParamsError(
            f"{total} processes are not {each} on each machine",
            hint="start as many on every machine: --nproc-per-node",
        )
    if config.devices not in (1, total):
        raise BadParamsError(
            f"devices is {config.devices}, but {total} processes were started",
            hint="leave devices at 1 where torchrun or fabric run says how many there are",
        )
    return Count(each, total // each, launched=True)


def refuse_launchers(params: Params, methods: Iterable[str]) -> None:
    """Refuse several processes for a fit where many fits are run side by side instead.

    Raises:
        BadParamsError: a method's `devices` is not 1, or torchrun has started this.
    """
    if all(name in os.environ for name in OF_LAUNCHER):
        raise BadParamsError(
            "torchrun started this, but folds are fitted by one process each",
            hint="start it without, and spread folds with --jobs",
        )
    blocks = params.values["fit"]
    for method in methods:
        if blocks.get(method, {}).get("devices", 1) != 1:
            raise BadParamsError(
                f"fit.{method}.devices is {blocks[method]['devices']}, but folds are fitted by one "
                "process each",
                hint="set it to 1, and spread folds with --jobs",
            )


def open_fabric(config: Any) -> Fabric:
    """Device, precision and processes; each process goes on from here by itself.

    Raises:
        BadParamsError: this machine lacks the devices, or the batch cannot be shared out.
    """
    count = count_of(config)
    if config.batch_size % count.all:
        raise BadParamsError(
            f"batch_size {config.batch_size} cannot be shared by {count.all} processes",
            hint="make it a multiple of their number",
        )
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(config.device, True):
        raise BadParamsError(f"device {config.device} is not here", hint="use device: auto")
    device = device_type(config.device)
    if device == "cuda" and count.each > torch.cuda.device_count():
        raise BadParamsError(
            f"{count.each} processes need a GPU each, there are {torch.cuda.device_count()} here",
            hint="start fewer, or use device: cpu",
        )
    if (warning := warning_of(config.precision, device)) and os.environ.get("RANK", "0") == "0":
        print(f"warning: {warning}", file=sys.stderr)
    fabric = Fabric(
        accelerator=config.device,
        devices=count.each,
        num_nodes=count.machines,
        strategy="ddp" if count.all > 1 or count.launched else "auto",
        precision=resolve(config.precision, device),
    )
    if os.environ.get(OF_FABRIC_RUN) != "1":  # which has done so, and would refuse it now
        fabric.launch()
    return fabric


def agreed(fabric: Fabric, word: Any) -> Any:
    """What the first process says, in all of them."""
    return fabric.broadcast(word) if fabric.world_size > 1 else word


def of_each(fabric: Fabric, word: Any) -> list[Any]:
    """What each process says, by rank, in all of them."""
    words = [word] * fabric.world_size
    if fabric.world_size > 1:
        distributed.all_gather_object(words, word)
    return words


def averaged(fabric: Fabric, losses: Mapping[str, float]) -> dict[str, float]:
    """The mean over all processes' images of what each found for as many of its own."""
    if fabric.world_size == 1 or not losses:
        return dict(losses)
    found = torch.tensor(list(losses.values()), dtype=torch.float64, device="cpu")
    means = fabric.all_reduce(found.to(fabric.device), reduce_op="mean")
    assert isinstance(means, torch.Tensor)  # a tensor in, a tensor out
    return dict(zip(losses, means.tolist(), strict=True))


def made_alike(fabric: Fabric, model: torch.nn.Module) -> None:
    """Give every process the first one's weights and buffers, which may differ by rounding."""
    if fabric.world_size > 1:
        for tensor in model.state_dict().values():
            distributed.broadcast(tensor, src=0)
