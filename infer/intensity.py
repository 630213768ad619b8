"""Voxel values → the range a network was fitted on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.shapes import Images, Voxels
from infer.volume import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """How voxel values become network input.

    `window`: `low` to `high` in modality units (HU in CT) become `output_low` to `output_high`;
    a picture (unit "display") counts as windowed already, its black is `low`, its white `high`.
    `percentile`: `low` and `high` are percentiles (0 to 100) of the scan's own voxels, per channel.
    Values beyond are clipped.
    """

    recipe: Literal["window", "percentile"]
    low: float
    high: float
    output_low: float
    output_high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if not self.output_low < self.output_high:
            raise ValueError(
                f"output_low must be below output_high, got {self.output_low} and "
                f"{self.output_high}"
            )
        if self.recipe == "percentile" and not (self.low >= 0 and self.high <= 100):
            raise ValueError(f"percentiles lie in 0 to 100, got {self.low} and {self.high}")


def rescale(voxels: Voxels, unit: Unit, intensity: Intensity) -> Voxels:
    """Voxels of a whole scan `(channel, *spatial)` in the network's range.

    May return `voxels` itself where nothing is to be done; never changes it.
    """
    if intensity.recipe == "percentile":
        return _by_percentile(voxels, intensity)
    low, high = (0.0, 1.0) if unit == "display" else (intensity.low, intensity.high)
    if (low, high) == (0, 1) == (intensity.output_low, intensity.output_high):
        inside = voxels.min() >= 0 and voxels.max() <= 1
        return voxels if inside else np.clip(voxels, np.float32(0), np.float32(1))
    scaled = np.empty_like(voxels)
    _scale(voxels, low, high, intensity, scaled)
    return scaled


def standardise(images: Images, mean: tuple[float, ...], std: tuple[float, ...]) -> Images:
    """Each channel less its mean, by its standard deviation; as they are if both are empty.

    Not the images' own mean, but that of the images whose weights a network started from.
    """
    if not mean:
        return images
    standard: np.ndarray = (images - _by_channel(mean, images)) / _by_channel(std, images)
    return standard


def unstandardise(images: Images, mean: tuple[float, ...], std: tuple[float, ...]) -> Images:
    """The inverse of `standardise`."""
    if not mean:
        return images
    ranged: np.ndarray = images * _by_channel(std, images) + _by_channel(mean, images)
    return ranged


def _by_channel(values: tuple[float, ...], images: np.ndarray) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, *[1] * (images.ndim - 2))


def _by_percentile(voxels: Voxels, intensity: Intensity) -> Voxels:
    """Each channel between its own percentiles: the gain and offset of the scanner cancel out.

    A channel of one single value, as an empty colour channel is, becomes `output_low`.
    """
    scaled = np.empty_like(voxels)
    for channel, target in zip(voxels, scaled, strict=True):
        low, high = _range(channel, intensity)
        if high > low:
            _scale(channel, low, high, intensity, target)
        else:
            target[...] = intensity.output_low
    return scaled


def _range(channel: np.ndarray, intensity: Intensity) -> tuple[float, float]:
    """The values at the recipe's percentiles."""
    if (intensity.low, intensity.high) == (0, 100):  # known without sorting: ten times faster
        return float(channel.min()), float(channel.max())
    low, high = np.percentile(channel, np.array([intensity.low, intensity.high]))
    return float(low), float(high)


def _scale(
    voxels: np.ndarray, low: float, high: float, intensity: Intensity, scaled: np.ndarray
) -> None:
    """Write `low` → `output_low`, `high` → `output_high`, clipped, into `scaled`."""
    gain = (intensity.output_high - intensity.output_low) / (high - low)
    # The offset first, or a large one would eat float32's digits.
    np.subtract(voxels, np.float32(low), out=scaled)
    scaled *= np.float32(gain)
    if intensity.output_low != 0:
        scaled += np.float32(intensity.output_low)
    np.clip(scaled, np.float32(intensity.output_low), np.float32(intensity.output_high), out=scaled)
