"""Laplacian pyramid: an image as its details, scale by scale, and what is left of it when small."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from infer.errors import UnknownChoiceError
from train.shapes import Images

# Binomial coefficients: the five-tap Gaussian of Burt and Adelson (1983).
TAPS = (1.0, 4.0, 6.0, 4.0, 1.0)
SMALLEST_BASE = 4  # pixels along the shortest axis: smaller ones have nothing to learn from

CONV = {2: functional.conv2d, 3: functional.conv3d}
LINEAR = {2: "bilinear", 3: "trilinear"}


class Decomposition(NamedTuple):
    """An image at every scale, finest first, and what each scale adds to the next coarser one."""

    images: list[Tensor]  # I_0 (the image) … I_K
    bands: list[Tensor]  # B_0 … B_{K−1}; B_k = I_k − I_{k+1} enlarged

    @property
    def base(self) -> Tensor:
        return self.images[-1]


class Pyramid(nn.Module):
    """Halve, enlarge, take apart and put together again; nothing in it is learned."""

    kernel: Tensor

    def __init__(self, channels: int, image_size: tuple[int, ...], levels: int) -> None:
        super().__init__()
        self.sizes = scales_of(image_size, levels)
        taps = torch.tensor(TAPS) / sum(TAPS)
        kernel = taps
        for _ in image_size[1:]:
            kernel = kernel[..., None] * taps
        # Not in the checkpoint: it follows from the code.
        self.register_buffer(
            "kernel", kernel.expand(channels, 1, *kernel.shape).clone(), persistent=False
        )

    def decompose(self, images: Images) -> Decomposition:
        """All scales and all bands of a batch."""
        scales: list[Tensor] = [images]
        for _ in self.sizes[1:]:
            scales.append(self.halve(scales[-1]))
        bands = [finer - self.enlarge(coarser) for finer, coarser in pairwise(scales)]
        return Decomposition(scales, bands)

    def collapse(self, bands: list[Tensor], base: Tensor) -> list[Tensor]:
        """The images of all scales, finest first, that bands and base make together."""
        images = [base]
        for band in reversed(bands):
            images.insert(0, band + self.enlarge(images[0]))
        return images

    def halve(self, images: Tensor) -> Tensor:
        """Blurred, then the mean of 2×2: pixel centres stay where they are for `enlarge`."""
        dims = images.ndim - 2
        reach = len(TAPS) // 2
        padded = functional.pad(images, [reach] * 2 * dims, mode="replicate")
        blurred = CONV[dims](padded, self.kernel, groups=images.shape[1])
        return _resized(blurred, 0.5)

    def enlarge(self, images: Tensor) -> Tensor:
        """Twice the size, by linear interpolation."""
        return _resized(images, 2.0)


def scales_of(image_size: tuple[int, ...], levels: int) -> list[tuple[int, ...]]:
    """The sizes of a pyramid's images, finest first: one more than it has levels.

    >>> scales_of((64, 32), 3)
    [(64, 32), (32, 16), (16, 8), (8, 4)]

    Raises:
        UnknownChoiceError: the image cannot be halved so often.
    """
    most = int(math.log2(min(image_size) // SMALLEST_BASE))
    if not 1 <= levels <= most:
        raise UnknownChoiceError(
            f"a pyramid of {levels} levels is not possible for {list(image_size)}",
            hint=f"use 1 to {most} levels",
        )
    return [tuple(side // 2**level for side in image_size) for level in range(levels + 1)]


def _resized(images: Tensor, factor: float) -> Tensor:
    return functional.interpolate(
        images, scale_factor=factor, mode=LINEAR[images.ndim - 2], align_corners=False
    )
