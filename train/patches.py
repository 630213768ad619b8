"""Patches of images as tensors: drawn by chance to fit on, or all of them to find anomalies in.

A patch-wise method is fitted on one patch of every image of a batch, cut out after augmentation.
Validation covers whole images with patches as `infer.patches` does for what ships, follows a score
recipe on each patch, as the exported graph does, and makes an image's score of those of its patches
in the same way.

A patch may lie anywhere: what is usual at one of its pixels says nothing of skull or ventricles.
Recipes that standardise by it are therefore not followed.
"""

from functools import partial
from typing import TypeVar

import numpy as np
import torch

from infer.patches import Patches, stitch
from train.seeding import drawn_for_all
from train.shapes import Images

Size = tuple[int, ...]  # (height, width)
Rows = TypeVar("Rows", torch.Tensor, np.ndarray)


def input_size(image_size: Size, patches: Patches | None) -> Size:
    """What a network takes of images of that size."""
    return image_size if patches is None else patches.size


def random_patches(images: Images, size: Size) -> torch.Tensor:
    """One patch of each image, by torch's global chance, every place where it fits as likely."""
    cropped = list(images)
    for axis, side in enumerate(size, start=1):
        places = images.shape[axis + 1] - side + 1
        drawn = drawn_for_all(partial(_corners, places), len(images))
        corners = drawn.tolist()
        cropped = [it.narrow(axis, at, side) for it, at in zip(cropped, corners, strict=True)]
    return torch.stack(cropped)


def _corners(places: int, count: int) -> torch.Tensor:
    return torch.randint(places, (count,))


def cut(images: Images, patches: Patches | None) -> torch.Tensor:
    """The images as a network takes them: `infer.patches.cover` for tensors."""
    if patches is None:
        return images
    windows = patches.windows(tuple(images.shape[2:]))
    return torch.stack([images[window] for window in windows], dim=1).flatten(0, 1)


def put_together(made: Images, patches: Patches | None, image_size: Size) -> torch.Tensor:
    """Whole images, or maps, of what a network made of `cut`."""
    if patches is None:
        return made
    return torch.from_numpy(stitch(made.float().cpu().numpy(), patches, image_size))


def evenly(rows: Rows, count: int) -> Rows:
    """Up to `count` of the rows, evenly spaced over all of them: neighbours are alike."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))
    some: Rows = rows[chosen]
    return some
