"""What a classifier looks at: pictures by Grad-CAM, Grad-CAM++ and SmoothGrad, all MONAI's.

SmoothGrad (Smilkov et al., 2017), the gradient at the image averaged over noisy copies of it, is
there for maps that use the whole network: no maintained library has FullGrad without torchvision.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from train.batches import scale_of
from train.collapse import Watched
from train.shapes import Images

LAYER = "class_layers.relu"  # the last feature map after its ReLU, by MONAI's name
NOISY_COPIES = 8
SHADE = 0.5  # how much of an image a map may cover
SEED = 0


def watch_attention(model: Any, images: Images) -> Watched:
    """The images under each kind of map, every map in units of its own highest value."""
    # Imported here: it takes three seconds, and every stage imports every method.
    from monai.visualize.class_activation_maps import GradCAM, GradCAMpp
    from monai.visualize.gradient_based import SmoothGrad

    model.eval()
    maps: dict[str, Callable[[Tensor], Tensor]] = {
        "grad_cam": _cam(GradCAM, model),
        "grad_cam_plus_plus": _cam(GradCAMpp, model),
        "smooth_grad": _smooth(SmoothGrad, model),
    }
    with torch.random.fork_rng(_devices(images)), torch.enable_grad():
        torch.manual_seed(SEED)  # the fit's own chance is left alone
        seen = {
            # One by one: MONAI's Grad-CAM++ mixes up images that come together.
            name: torch.cat([attend(image.detach().clone()) for image in images.split(1)])
            for name, attend in maps.items()
        }
    return Watched({}, {name: _marked(images, found, model.config) for name, found in seen.items()})


def _cam(kind: type[Any], model: Any) -> Callable[[Tensor], Tensor]:
    # Of a copy: MONAI leaves its hooks in the network.
    cam = kind(copy.deepcopy(model.network), LAYER, postprocessing=lambda found: found)
    return lambda image: cam(image, class_idx=0).detach()


def _smooth(kind: type[Any], model: Any) -> Callable[[Tensor], Tensor]:
    gradient = kind(copy.deepcopy(model.network), n_samples=NOISY_COPIES, verbose=False)
    return lambda image: gradient(image, index=0).detach().mean(dim=1, keepdim=True)


def _marked(images: Images, maps: Tensor, config: Any) -> np.ndarray:
    """Images in the method's range, grey, red where the map is high."""
    scale, (low, high) = scale_of(config), config.intensity_range
    grey = ((scale.undone(images) - low) / (high - low)).mean(dim=1, keepdim=True)
    highest = maps.amax(dim=(1, 2, 3), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    share = SHADE * maps / highest
    red = torch.tensor([1.0, 0.0, 0.0], device=maps.device).reshape(1, 3, 1, 1)
    marked = (1 - share) * grey + share * red
    array: np.ndarray = (marked * (high - low) + low).cpu().numpy()
    return array


def _devices(images: Images) -> list[torch.device]:
    return [images.device] if images.is_cuda else []
