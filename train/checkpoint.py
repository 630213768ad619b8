"""Weights on disk: written whole or not at all, read without running any code.

A checkpoint (safetensors) is a fitted model. A resume file holds all that an interrupted fit needs
to arrive at the same weights; it is nobody's output and goes when the fit is done.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from infer.errors import BadModelError


def save(path: Path, model: nn.Module | Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write weights and what is known of them."""
    state = model.state_dict() if isinstance(model, nn.Module) else model
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    _write_whole(path, lambda unfinished: save_file(weights, unfinished, dict(metadata)))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights and metadata back.

    Raises:
        BadModelError: it is missing or no checkpoint.
    """
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return weights, dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        raise BadModelError(
            f"{path} is not a readable checkpoint ({error})", hint="run the fit stage again"
        ) from error


def save_resume(path: Path, state: Mapping[str, Any], fingerprint: str) -> None:
    """Put a fit's state aside: tensors, numbers and strings only."""
    content = {**state, "fingerprint": fingerprint}
    _write_whole(path, lambda unfinished: torch.save(content, unfinished))


def load_resume(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """The state put aside by a fit of the same numbers and data; None if there is none.

    One that cannot be read, as a power cut may leave it, is as good as none, and said to be so.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        print(f"warning: {path} cannot be read ({error}): the fit begins anew", file=sys.stderr)
        return None
    return state if state.pop("fingerprint") == fingerprint else None


def _write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Under a temporary name first: a killed process leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        write(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())  # after a power cut, too
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
