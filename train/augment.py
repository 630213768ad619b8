"""Vary images as heads vary in a scanner: mirror, pose, shape, brightness, contrast, colour."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import kornia.augmentation as kornia
import torch
from msgspec import Meta
from torch import Tensor, nn

from train.bounds import Amount, Share
from train.seeding import count_of_all, in_common, own_share
from train.shapes import Images

COLOUR_CHANNELS = 3  # what saturation and hue are defined for
FLIPS = {
    (2, "columns"): kornia.RandomHorizontalFlip,
    (2, "rows"): kornia.RandomVerticalFlip,
    (3, "columns"): kornia.RandomHorizontalFlip3D,
    (3, "rows"): kornia.RandomVerticalFlip3D,
}
SHAPE = "forward_input_shape"  # what kornia calls it among what it has drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How far each image is changed; every range is drawn from evenly."""

    flip_probability: Share
    flip: Literal["columns", "rows"]  # left to right of an upright head; rows: of one on its side
    pose_of_volumes: Literal["every_axis", "in_plane"]  # in_plane: all slices of one alike
    # Of the images that are turned, moved, scaled and sheared. At 1 a network sees none that was
    # not interpolated; scans come as they are, sharper than all it knows.
    pose_probability: Share
    rotation_degrees: Amount  # to either side
    translation: Share  # share of the image, along each axis
    scale: tuple[float, float]
    shear_degrees: Amount  # to either side
    brightness: Share  # added, as a share of the whole range
    contrast: Share  # factor beyond 1
    gamma: Share  # exponent, how far from 1: greys move, black and white stay
    saturation: Share  # factor beyond 1; colour images only
    hue: Annotated[float, Meta(ge=0, le=0.5)]  # share of the colour circle; colour images only

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1]:
            raise ValueError(f"scale must be a range above 0, got {list(self.scale)}")


class Augmentation(nn.Module):
    """Random changes of images in [0, 1], each image by its own draw, on the images' device.

    A volume is turned and sheared about and along every axis, or all its slices alike in their
    plane, and has one brightness, contrast and gamma. What comes into view from beyond the image
    is 0, the darkest value; results stay in [0, 1].
    """

    def __init__(self, config: AugmentConfig, channels: int, spatial_dims: int) -> None:
        super().__init__()
        self.in_plane = config.pose_of_volumes == "in_plane"
        pose = _pose_of_slices(config)
        if spatial_dims == 3 and not self.in_plane:
            pose = _pose_of_volumes(config)
        look = _look(config, channels)
        # kornia's sequence takes slices or volumes; of volumes, `look` sees one tall slice each.
        self.pose = nn.ModuleList(pose if spatial_dims == 3 else [])
        steps = look if spatial_dims == 3 else [*pose, *look]
        self.steps = kornia.AugmentationSequential(*steps, data_keys=["input"])

    def forward(self, images: Images) -> Images:
        """The same images, each changed in its own way."""
        volumes = images.ndim == 5
        # Slices as channels of one image: what is drawn for it holds for all of them.
        posed = images.flatten(1, 2) if volumes and self.in_plane else images
        for turn in self.pose:
            posed = _changed_by(turn, posed)
        posed = posed.reshape(images.shape)
        seen = posed.flatten(2, 3) if volumes else posed
        changed = _changed_by(self.steps, seen)
        return changed.clamp(0.0, 1.0).reshape(images.shape)


def _changed_by(step: Any, images: Tensor) -> Tensor:
    """One step of kornia's; of several processes, each takes its images' share of one draw."""
    total = count_of_all(len(images))
    if total == len(images):
        changed: Tensor = step(images)
        return changed
    with in_common():
        drawn = step.forward_parameters(torch.Size((total, *images.shape[1:])))
    changed = step(images, params=_share_of(drawn, own_share(total), images.shape, total))
    return changed


def _share_of(drawn: Any, share: slice, shape: torch.Size, total: int) -> Any:
    """Of what kornia has drawn for `total` images, the part of those in `share`."""
    if isinstance(drawn, list):  # of a sequence: one for each step
        return [it._replace(data=_share_of(it.data, share, shape, total)) for it in drawn]
    rows = {
        name: it[share] if it.ndim and len(it) == total else it
        for name, it in drawn.items()
        if name != SHAPE
    }
    return {**rows, SHAPE: torch.tensor(shape)}


def _pose_of_slices(config: AugmentConfig) -> list[Any]:
    return [
        FLIPS[2, config.flip](p=config.flip_probability),
        kornia.RandomAffine(
            degrees=config.rotation_degrees,
            translate=(config.translation, config.translation),
            scale=config.scale,
            shear=config.shear_degrees,
            padding_mode="zeros",
            p=config.pose_probability,
        ),
    ]


def _pose_of_volumes(config: AugmentConfig) -> list[Any]:
    return [
        FLIPS[3, config.flip](p=config.flip_probability),
        kornia.RandomAffine3D(
            degrees=config.rotation_degrees,
            translate=(config.translation,) * 3,
            scale=config.scale,
            shears=config.shear_degrees,
            p=config.pose_probability,
        ),
    ]


def _look(config: AugmentConfig, channels: int) -> list[Any]:
    """Changes of a pixel's value alone, wherever it lies."""
    steps: list[Any] = [
        kornia.RandomBrightness(_around_one(config.brightness), p=1.0),
        kornia.RandomContrast(_around_one(config.contrast), p=1.0),
    ]
    if config.gamma:
        steps.append(kornia.RandomGamma(_around_one(config.gamma), p=1.0))
    if channels == COLOUR_CHANNELS:
        steps += [
            kornia.RandomSaturation(_around_one(config.saturation), p=1.0),
            kornia.RandomHue((-config.hue, config.hue), p=1.0),
        ]
    return steps


def _around_one(spread: float) -> tuple[float, float]:
    return (1.0 - spread, 1.0 + spread)
