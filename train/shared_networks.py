"""Networks that a model takes over from another fit of its study, bit for bit."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from infer.errors import BadModelError
from train import checkpoint

Weights = dict[str, Tensor]


def load_shared(path: Path, networks: Sequence[str], *, data_hash: str) -> Weights:
    """The weights of these networks in the checkpoint of another fit to the same data.

    Raises:
        BadModelError: it is missing, or was fitted to other data.
    """
    names = " and ".join(networks)
    if not path.exists():
        raise BadModelError(
            f"{path} does not exist, whose {names} are to be shared",
            hint=f"run the fit stage of {path.stem} first",
        )
    weights, metadata = checkpoint.load(path)
    if metadata["data_hash"] != data_hash:
        raise BadModelError(
            f"{path}, whose {names} are to be shared, was fitted to other data",
            hint=f"run the fit stage of {path.stem} again",
        )
    return {name: it for name, it in weights.items() if name.split(".")[0] in networks}


def share(model: nn.Module, weights: Mapping[str, Tensor], networks: Sequence[str]) -> None:
    """Put the weights into the model's networks of these names.

    Raises:
        BadModelError: the model's networks have another architecture.
    """
    own = {name: it for name, it in model.state_dict().items() if name.split(".")[0] in networks}
    if {name: it.shape for name, it in own.items()} != {
        name: it.shape for name, it in weights.items()
    }:
        raise BadModelError(
            f"the shared {' and '.join(networks)} have another architecture than this fit asks for",
            hint="let its block name `of` and no sizes of its own; then fit what it shares again",
        )
    model.load_state_dict(dict(weights), strict=False)


def hash_of(weights: Mapping[str, Tensor]) -> str:
    """One name for exactly these weights; "" for none."""
    if not weights:
        return ""
    digest = hashlib.sha256()
    for name in sorted(weights):
        digest.update(name.encode())
        digest.update(weights[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
