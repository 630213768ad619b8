"""ImageNet weights of torchvision's DenseNet, read from a local file into MONAI's DenseNet.

MONAI can download them; a hospital's machine often cannot. The two differ in names only: a dense
layer's parts lie in a `layers` of its own, and the oldest files write `norm.1` for `norm1`.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from infer.errors import BadModelError

PART = re.compile(r"(.*\.denselayer\d+)\.(norm|conv)\.?([12])\.(\w+)")
HEAD = "classifier."  # tells a thousand kinds of things apart: of no use here
COUNTER = "num_batches_tracked"  # torchvision's oldest files lack it, and nothing needs it


def load_imagenet(features: nn.Module, path: Path) -> None:
    """Fill MONAI's `features` with torchvision's weights.

    Raises:
        BadModelError: the file cannot be read, or holds other layers than this network has.
    """
    own = features.state_dict()
    found = {
        _as_monai(name): tensor for name, tensor in _read(path).items() if not name.startswith(HEAD)
    }
    missing = sorted(it for it in own.keys() - found.keys() if not it.endswith(COUNTER))
    unknown = sorted(found.keys() - own.keys())
    if missing or unknown:
        what = f"lacks {missing[0]}" if missing else f"has {unknown[0]}, which DenseNet121 has not"
        raise BadModelError(
            f"{path} {what}", hint="use torchvision's weights of DenseNet121 (a state dict)"
        )
    for name, tensor in found.items():
        if tensor.shape != own[name].shape:
            raise BadModelError(
                f"{path}: {name} is of shape {list(tensor.shape)}, but this network's is of "
                f"{list(own[name].shape)}",
                hint="ImageNet's images have 3 channels: set data.channels to 3 (grey is repeated)",
            )
    features.load_state_dict({**own, **found})


def _as_monai(name: str) -> str:
    """A parameter's name in MONAI's `features`.

    >>> _as_monai("features.denseblock1.denselayer2.norm.1.weight")
    'denseblock1.denselayer2.layers.norm1.weight'
    """
    return PART.sub(r"\1.layers.\2\3.\4", name).removeprefix("features.")


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise BadModelError(
            f"{path} is not a readable file of weights ({error})",
            hint="give a .safetensors file or a state dict that torch.save wrote",
        ) from error
    if not isinstance(held, Mapping) or not all(isinstance(it, Tensor) for it in held.values()):
        raise BadModelError(
            f"{path} holds something else than weights by name",
            hint="save the model's state_dict(), not the model",
        )
    return held
