"""Convolutional encoder and decoder around a bottleneck of any length."""

import math
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn

from infer.errors import UnknownChoiceError
from train.shapes import Images, Latents

SMALLEST, LARGEST = 32, 256  # pixels along an axis
BOTTOM = 4  # pixels along the shortest axis at the bottleneck
LEAK = 0.2  # slope of LeakyReLU below 0, as in DCGAN
WIDEST = 8  # channels stop doubling at this multiple of the width

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
CONV_TRANSPOSE = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
BATCH_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def refuse_other_dims(spatial_dims: int, image_size: tuple[int, ...]) -> None:
    """Refuse images that have another number of axes than a network is meant for.

    Raises:
        UnknownChoiceError: they have.
    """
    if spatial_dims != len(image_size):
        raise UnknownChoiceError(
            f"spatial_dims is {spatial_dims}, but image_size {list(image_size)} has "
            f"{len(image_size)} sides",
            hint="slices are (height, width), volumes (depth, height, width)",
        )


def levels_for(image_size: tuple[int, ...]) -> int:
    """How many halvings bring an image down to the bottleneck.

    Raises:
        UnknownChoiceError: a side is not a power of two from 32 to 256.
    """
    for side in image_size:
        if not SMALLEST <= side <= LARGEST or side & (side - 1):
            raise UnknownChoiceError(
                f"image_size {list(image_size)} is not possible",
                hint=f"use powers of two from {SMALLEST} to {LARGEST}",
            )
    return int(math.log2(min(image_size) // BOTTOM))


def widths_for(width: int, levels: int) -> list[int]:
    """Channels after each halving, doubling up to a limit: 3 levels of 16 are 16, 32, 64."""
    return [width * min(2**level, WIDEST) for level in range(levels)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What an autoencoder is cut for."""

    channels: int
    image_size: tuple[int, ...]  # powers of two
    width: int  # channels after the first halving
    latent: int
    dropout: float

    @property
    def widths(self) -> list[int]:
        return widths_for(self.width, levels_for(self.image_size))

    @property
    def bottom(self) -> tuple[int, ...]:
        """(channel, *spatial) of the features around the bottleneck."""
        halvings = 2 ** len(self.widths)
        return (self.widths[-1], *(side // halvings for side in self.image_size))


class Encoder(nn.Module):
    """Images → latents."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        dims = len(shape.image_size)
        blocks: list[nn.Module] = []
        for before, after in pairwise([shape.channels, *shape.widths]):
            blocks += [
                CONV[dims](before, after, kernel_size=4, stride=2, padding=1, bias=False),
                *_normed(dims, after, shape.dropout),
            ]
        self.blocks = nn.Sequential(*blocks)
        self.to_latent = nn.Linear(math.prod(shape.bottom), shape.latent)

    def forward(self, images: Images) -> Latents:
        latents: Tensor = self.to_latent(self.blocks(images).flatten(1))
        return latents


class Decoder(nn.Module):
    """Latents → images, unbounded."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        dims = len(shape.image_size)
        self.bottom = shape.bottom
        self.from_latent = nn.Linear(shape.latent, math.prod(shape.bottom))
        blocks: list[nn.Module] = []
        for before, after in pairwise(reversed(shape.widths)):
            blocks += [
                CONV_TRANSPOSE[dims](before, after, kernel_size=4, stride=2, padding=1, bias=False),
                *_normed(dims, after, shape.dropout),
            ]
        last = CONV_TRANSPOSE[dims](
            shape.widths[0], shape.channels, kernel_size=4, stride=2, padding=1
        )
        self.blocks = nn.Sequential(*blocks, last)

    def forward(self, latents: Latents) -> Images:
        images: Tensor = self.blocks(self.from_latent(latents).unflatten(1, self.bottom))
        return images


def _normed(dims: int, channels: int, dropout: float) -> list[nn.Module]:
    """What follows every convolution but the last."""
    return [BATCH_NORM[dims](channels), nn.LeakyReLU(LEAK), nn.Dropout(dropout)]
