"""Residual generator, critic and encoder of the improved WGAN, for any power-of-two image size."""

import math
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.networks.autoencoder import BOTTOM, levels_for, widths_for
from train.shapes import Images, Latents

Norm = Literal["none", "layer", "batch"]


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """`layer` normalises each image by itself, as a gradient penalty per image demands."""
    match norm:
        case "none":
            return nn.Identity()
        case "layer":
            return nn.GroupNorm(1, channels)
        case "batch":
            return nn.BatchNorm2d(channels)


class UpConv(nn.Conv2d):
    """Nearest neighbours at twice the size, then a 3×3 convolution, in one transposed convolution.

    Four taps per pixel instead of nine, and nothing of twice the size in between.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        kernel = _spread(self.weight).flip(2, 3).transpose(0, 1)
        return functional.conv_transpose2d(features, kernel, stride=2, padding=1)


class DownConv(nn.Conv2d):
    """A 3×3 convolution, then the mean of 2×2, in one convolution of stride two."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        return functional.conv2d(features, _spread(self.weight) / 4, self.bias, 2, 1)


class UpBlock(nn.Module):
    """Twice the size: nearest neighbours, two convolutions, and a shortcut around them."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU())
        self.conv1 = UpConv(before, after)
        self.second = nn.Sequential(
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, kernel_size=3, padding=1),
        )
        self.shortcut = nn.Conv2d(before, after, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        residual: Tensor = self.second(self.conv1(self.first(features)))
        # A 1×1 convolution and a copy of neighbours may change places: cheaper at half the size.
        return residual + _doubled(self.shortcut(features))


class DownBlock(nn.Module):
    """Half the size: two convolutions, mean of 2×2, and a shortcut around them."""

    def __init__(self, before: int, after: int, norm: Norm) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            norm_layer(norm, before),
            nn.ReLU(),
            nn.Conv2d(before, before, kernel_size=3, padding=1),
            norm_layer(norm, before),
            nn.ReLU(),
            DownConv(before, after),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(before, after, kernel_size=1))

    def forward(self, features: Tensor) -> Tensor:
        halved: Tensor = self.residual(features) + self.shortcut(features)
        return halved


class Generator(nn.Module):
    """Latents → images in [-1, 1]."""

    def __init__(self, channels: int, image_size: tuple[int, ...], width: int, latent: int) -> None:
        super().__init__()
        widths = widths_for(width, levels_for(image_size))[::-1]
        self.bottom = (widths[0], *_bottom(image_size))
        self.from_latent = nn.Linear(latent, math.prod(self.bottom))
        self.blocks = nn.Sequential(*(UpBlock(*pair) for pair in pairwise([widths[0], *widths])))
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
            nn.Conv2d(widths[-1], channels, kernel_size=3, padding=1),
        )

    def forward(self, latents: Latents) -> Images:
        features = self.blocks(self.from_latent(latents).unflatten(1, self.bottom))
        return torch.tanh(self.to_image(features))


class ResidualEncoder(nn.Module):
    """Images → features (at the bottom, flat) → `outputs` numbers: a critic, or an encoder."""

    def __init__(
        self,
        channels: int,
        image_size: tuple[int, ...],
        width: int,
        outputs: int,
        norm: Norm,
    ) -> None:
        super().__init__()
        widths = widths_for(width, levels_for(image_size))
        self.from_image = nn.Conv2d(channels, width, kernel_size=3, padding=1)
        self.blocks = nn.Sequential(
            *(DownBlock(*pair, norm) for pair in pairwise([width, *widths]))
        )
        self.to_output = nn.Linear(widths[-1] * math.prod(_bottom(image_size)), outputs)

    def features(self, images: Images) -> Tensor:
        """The last features before the output."""
        features: Tensor = self.blocks(self.from_image(images)).flatten(1)
        return features

    def forward(self, images: Images) -> Tensor:
        outputs: Tensor = self.to_output(self.features(images))
        return outputs


def _bottom(image_size: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side * BOTTOM // min(image_size) for side in image_size)


def _spread(kernel: Tensor) -> Tensor:
    """Sum of a kernel at the four places of a 2×2 square, one pixel wider and higher."""
    pad = functional.pad
    upper = pad(kernel, (0, 1, 0, 1)) + pad(kernel, (1, 0, 0, 1))
    return upper + pad(kernel, (0, 1, 1, 0)) + pad(kernel, (1, 0, 1, 0))


def _doubled(features: Tensor) -> Tensor:
    return functional.interpolate(features, scale_factor=2.0, mode="nearest")
