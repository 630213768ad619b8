"""Chance that can be repeated: seed every generator, put their state aside and bring it back.

Processes that fit one model together have a chance in common: what it draws for a batch is drawn
for all of it by each of them, and each takes the rows of its own images. So a batch is the same
however many processes share it. All else, dropout for one, each draws by a chance of its own.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.bounds import SEEDS


@dataclass(slots=True)
class _Common:
    """What this process knows of the chance that it has in common with others."""

    rank: int
    processes: int
    states: dict[str, Tensor]


# Global as torch's generators are, which it replaces now and then. None: there is one process.
_common: _Common | None = None


def seed_everything(seed: int) -> None:
    """Same seed, same machine → same numbers, from every library we draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(seed)  # every device's
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


def seed_process(seed: int, *, rank: int, processes: int) -> None:
    """Seed one of several processes: a chance in common, and one of its own."""
    global _common
    seed_everything(seed)
    _common = None
    if processes > 1:
        _common = _Common(rank, processes, generator_states())
        seed_everything((seed + 1 + rank) % SEEDS)


@contextmanager
def in_common() -> Iterator[None]:
    """Draw what every process draws here, too; where there is one, from the chance there is."""
    if _common is None:
        yield
        return
    own = generator_states()
    restore_generators(_common.states)
    try:
        yield
    finally:
        _common.states = generator_states()
        restore_generators(own)


def own_share(count: int) -> slice:
    """Which rows are this process's of `count` that all processes share evenly."""
    if _common is None:
        return slice(0, count)
    each = count // _common.processes
    return slice(_common.rank * each, (_common.rank + 1) * each)


def count_of_all(count: int) -> int:
    """How many rows the processes have together, of which `count` are this one's."""
    return count if _common is None else count * _common.processes


def drawn_for_all(draw: Callable[[int], Tensor], count: int) -> Tensor:
    """Random numbers for the `count` images of this process: its rows of what all draw.

    Args:
        draw: numbers for so many images, along the first axis.
    """
    total = count_of_all(count)
    with in_common():
        return draw(total)[own_share(total)]


def common_states() -> dict[str, Tensor]:
    """Where the chance in common stands; {} where there is one process."""
    return {} if _common is None else _common.states


def restore_common(states: dict[str, Tensor]) -> None:
    """Go on drawing in common from where `common_states` looked."""
    if _common is not None:
        _common.states = states


def generator_states() -> dict[str, Tensor]:
    """Where torch's generators stand: one for the processor, one per CUDA device."""
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{n}": state for n, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_generators(states: dict[str, Tensor]) -> None:
    """Go on drawing from where `generator_states` looked."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state_all([state for name, state in states.items() if name != "cpu"])


@contextmanager
def chance_aside(seed: int) -> Iterator[None]:
    """Draw from a chance of its own, always the same, in common with nobody.

    Outside, nothing has been drawn.
    """
    global _common
    states, common = generator_states(), _common
    torch.manual_seed(seed)
    _common = None
    try:
        yield
    finally:
        restore_generators(states)
        _common = common
