"""Chance that can be repeated: seed every generator, put their state aside and bring it back."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


def seed_everything(seed: int) -> None:
    """Same seed, same machine → same numbers, from every library we draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries draw from the global generator
    torch.manual_seed(seed)  # every device's
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


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
    """Draw from a chance of its own, always the same; outside, nothing has been drawn."""
    states = generator_states()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        restore_generators(states)
