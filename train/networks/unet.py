"""U-Net: an image through halvings and back, with or without shortcuts around them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from infer.errors import UnknownChoiceError
from train.networks.autoencoder import (
    BATCH_NORM,
    BOTTOM,
    CONV,
    CONV_TRANSPOSE,
    LARGEST,
    LEAK,
    levels_for,
    widths_for,
)
from train.shapes import Images, Latents, Outputs

POOL = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


@dataclass(frozen=True, slots=True, kw_only=True)
class UNetShape:
    """What a U-Net is cut for."""

    channels: int
    image_size: tuple[int, ...]  # powers of two; of volumes, the depth may be as little as 4
    width: int  # channels at full size
    levels: int  # halvings
    bottleneck: int  # channels at the smallest size
    skips: bool  # without them all passes through the bottleneck
    outputs: int  # channels of what comes out

    def __post_init__(self) -> None:
        most = levels_for(self.image_size[-2:])
        for depth in self.image_size[:-2]:
            if not BOTTOM <= depth <= LARGEST or depth & (depth - 1):
                raise UnknownChoiceError(
                    f"image_size {list(self.image_size)} is not possible: its depth is {depth}",
                    hint=f"use a power of two from {BOTTOM} to {LARGEST}",
                )
        if not 1 <= self.levels <= most:
            raise UnknownChoiceError(
                f"levels {self.levels} are not possible at image_size {list(self.image_size)}",
                hint=f"use 1 to {most}",
            )

    @property
    def widths(self) -> list[int]:
        """Channels at each size, from full to smallest."""
        return [*widths_for(self.width, self.levels), self.bottleneck]

    @property
    def halvings(self) -> list[tuple[int, ...]]:
        """By what each axis shrinks, level by level: 2, or 1 once little of it is left."""
        size, found = self.image_size, []
        for _ in range(self.levels):
            found.append(tuple(2 if side > BOTTOM else 1 for side in size))
            size = tuple(side // by for side, by in zip(size, found[-1], strict=True))
        return found


class UNet(nn.Module):
    """Images → as large images, unbounded, of so many channels as are asked for."""

    def __init__(self, shape: UNetShape) -> None:
        super().__init__()
        dims, widths = len(shape.image_size), shape.widths
        self.skips = shape.skips
        before = [shape.channels, *widths]
        self.downward = nn.ModuleList(_block(dims, *pair) for pair in pairwise(before))
        pool: Callable[..., nn.Module] = POOL[dims]
        doubled: Callable[..., nn.Module] = CONV_TRANSPOSE[dims]
        self.halvings = nn.ModuleList(pool(by) for by in shape.halvings)
        steps = list(pairwise(reversed(widths)))
        self.doublings = nn.ModuleList(
            doubled(wide, narrow, kernel_size=by, stride=by)
            for (wide, narrow), by in zip(steps, reversed(shape.halvings), strict=True)
        )
        self.upward = nn.ModuleList(
            _block(dims, narrow * (2 if shape.skips else 1), narrow) for _, narrow in steps
        )
        self.last = CONV[dims](shape.width, shape.outputs, kernel_size=1)

    def forward(self, images: Images) -> Outputs:
        return self.look(images)[0]

    def look(self, images: Images) -> tuple[Outputs, Latents]:
        """What comes out, and the mean of each channel at the smallest size."""
        passed = [self.downward[0](images)]
        for halve, block in zip(self.halvings, self.downward[1:], strict=True):
            passed.append(block(halve(passed[-1])))
        features: Tensor = passed.pop()
        bottom: Latents = features.flatten(2).mean(dim=2)
        for double, block in zip(self.doublings, self.upward, strict=True):
            features, beside = double(features), passed.pop()
            features = block(torch.cat([features, beside], dim=1) if self.skips else features)
        redrawn: Tensor = self.last(features)
        return redrawn, bottom


def _block(dims: int, before: int, after: int) -> nn.Module:
    """Two convolutions."""
    return nn.Sequential(*_conv(dims, before, after), *_conv(dims, after, after))


def _conv(dims: int, before: int, after: int) -> list[nn.Module]:
    return [
        CONV[dims](before, after, kernel_size=3, padding=1, bias=False),
        BATCH_NORM[dims](after),
        nn.LeakyReLU(LEAK),
    ]
