"""What of a scan is compared with the normals, beside its score: how it looks and how it lies."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from infer.shapes import Images
from infer.volume import Volume

SPACING_DIGITS = 4  # of millimetres: what formats lose on the way is no other voxel size


class Traits(NamedTuple):
    """Of one scan; axes are (depth, height, width), a picture is one slice deep."""

    intensity_mean: float  # of the images the network saw, before channels are standardised
    intensity_std: float
    size: tuple[int, int, int]  # voxels
    spacing_mm: tuple[float, float, float]  # 0 along an axis: not known


def traits_of(volume: Volume, images: Images) -> Traits:
    """Those of a scan, of which the network saw these images."""
    known = volume.spacing_mm or ()
    height, width = volume.voxels.shape[-2:]
    mean, std = cv2.meanStdDev(np.ascontiguousarray(images).reshape(1, -1))  # in float64
    return Traits(
        intensity_mean=float(mean[0, 0]),
        intensity_std=float(std[0, 0]),
        size=(math.prod(volume.voxels.shape[1:-2]), height, width),
        spacing_mm=_along_three([round(float(length), SPACING_DIGITS) for length in known]),
    )


def traits_from(values: Sequence[Any]) -> Traits:
    """Traits as JSON gives them back.

    Raises:
        TypeError, ValueError: they are none.
    """
    mean, std, (depth, height, width), spacing_mm = values
    return Traits(
        intensity_mean=float(mean),
        intensity_std=float(std),
        size=(int(depth), int(height), int(width)),
        spacing_mm=_along_three([float(length) for length in spacing_mm]),
    )


def _along_three(spacing_mm: list[float]) -> tuple[float, float, float]:
    depth, height, width = [0.0] * (3 - len(spacing_mm)) + spacing_mm
    return depth, height, width
