"""Voxel values → the range a network was fitted on.

MR has no unit: its range is taken from the scan itself, all of it at once, so that a slice without
a lesion does not come out brighter than its neighbour with one. `inside` says of which voxels. Air,
which fills a quarter of one scan and three quarters of another, would move any percentile or mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.foreground import background_of, foreground_of
from infer.shapes import Images, Voxels
from infer.volume import Unit

# Of which voxels a scan's own range is. `all`; `stripped`: what differs from the one value that
# surrounds a scan whose skull has been taken off; `body`: what is brighter than air in its axial
# slices, see `infer.foreground`.
Inside = Literal["all", "stripped", "body"]

# Percentiles of all voxels between which a body is looked for: no hot pixel sets the scale.
BODY_RANGE = (0.5, 99.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """How voxel values become network input.

    `window`: `low` to `high` in modality units (HU in CT) become `output_low` to `output_high`;
    a picture (unit "display") counts as windowed already, its black is `low`, its white `high`.
    `percentile`: `low` and `high` are percentiles (0 to 100) of the scan's own voxels, per channel.
    `zscore`: they are standard deviations from the mean of the scan's own voxels, per channel.
    Values beyond are clipped, and the background of `stripped` becomes `output_low`.
    """

    recipe: Literal["window", "percentile", "zscore"]
    low: float
    high: float
    output_low: float
    output_high: float
    inside: Inside = "all"  # whose percentiles, mean and deviation; before schema 4: all

    def __post_init__(self) -> None:
        if self.recipe == "window" and self.inside != "all":
            raise ValueError(f"a window is the same for all voxels: inside cannot be {self.inside}")
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if not self.output_low < self.output_high:
            raise ValueError(
                f"output_low must be below output_high, got {self.output_low} and "
                f"{self.output_high}"
            )
        if self.recipe == "percentile" and not (self.low >= 0 and self.high <= 100):
            raise ValueError(f"percentiles lie in 0 to 100, got {self.low} and {self.high}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """A linear map for each channel: `low` becomes `output_low`, `high` becomes `output_high`."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    output_low: float
    output_high: float
    clips: bool  # whether voxels may lie beyond `low` and `high`
    background: tuple[float, ...] = ()  # of each channel, what becomes `output_low`; or of none


def rescale(voxels: Voxels, unit: Unit, intensity: Intensity) -> Voxels:
    """Voxels of a whole scan `(channel, *spatial)` in the network's range.

    May return `voxels` itself where nothing is to be done; never changes it.
    """
    rescaled: np.ndarray = scaled(voxels[np.newaxis], scaling_of(voxels, unit, intensity))[0]
    return rescaled


def scaling_of(voxels: Voxels, unit: Unit, intensity: Intensity) -> Scaling:
    """What a recipe does to this scan."""
    clips = True
    background: tuple[float, ...] = ()
    if intensity.recipe in ("percentile", "zscore"):
        ranges = [_range(_within(channel, intensity.inside), intensity) for channel in voxels]
        whole = (intensity.recipe, intensity.low, intensity.high, intensity.inside)
        clips = whole != ("percentile", 0, 100, "all")
        if intensity.inside == "stripped":
            background = tuple(background_of(channel) for channel in voxels)
    elif unit == "display":
        ranges = [(0.0, 1.0)] * len(voxels)
        clips = bool(voxels.min() < 0 or voxels.max() > 1)
    else:
        ranges = [(intensity.low, intensity.high)] * len(voxels)
    return Scaling(
        low=tuple(low for low, _ in ranges),
        high=tuple(high for _, high in ranges),
        output_low=intensity.output_low,
        output_high=intensity.output_high,
        clips=clips,
        background=background,
    )


def scaled(images: Images, scaling: Scaling) -> Images:
    """`(image, channel, *spatial)`, each channel by its own map; may return `images` itself.

    A channel of one single value, as an empty colour channel is, becomes `output_low`.
    """
    low, high = (np.array(it, np.float64) for it in (scaling.low, scaling.high))
    span = scaling.output_high - scaling.output_low
    gain = np.divide(span, high - low, out=np.zeros_like(low), where=high > low)
    if not scaling.clips and (low == 0).all() and (gain == 1).all() and scaling.output_low == 0:
        return images
    # The offset first, or a large one would eat float32's digits.
    moved: np.ndarray = images - _by_channel(low, images)
    moved *= _by_channel(gain, images)
    if scaling.output_low != 0:
        moved += np.float32(scaling.output_low)
    if scaling.clips:
        limits = np.float32(scaling.output_low), np.float32(scaling.output_high)
        np.clip(moved, *limits, out=moved)
    if scaling.background:
        moved[images == _by_channel(scaling.background, images)] = scaling.output_low
    return moved


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


def _by_channel(values: Sequence[float] | np.ndarray, images: np.ndarray) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, *[1] * (images.ndim - 2))


def _within(channel: np.ndarray, inside: Inside) -> np.ndarray:
    """The voxels of one channel that count; all where none is found."""
    match inside:
        case "all":
            return channel
        case "stripped":
            found = channel[channel != background_of(channel)]
        case "body":
            found = channel[_body_of(channel)]
    return found if found.size else channel


def _body_of(channel: np.ndarray) -> np.ndarray:
    """What is brighter than air, looked for in each axial slice by itself."""
    low, high = np.percentile(channel, np.array(BODY_RANGE))
    span = np.float32(high - low) if high > low else np.float32(1)
    shares = np.clip((channel - np.float32(low)) / span, 0, 1, dtype=np.float32)
    slices = shares.reshape(-1, 1, *shares.shape[-2:])
    return foreground_of(slices, "body").reshape(channel.shape)


def _range(channel: np.ndarray, intensity: Intensity) -> tuple[float, float]:
    """The values that become the two ends of the output."""
    if intensity.recipe == "zscore":
        mean, std = channel.mean(dtype=np.float64), channel.std(dtype=np.float64)
        return float(mean + intensity.low * std), float(mean + intensity.high * std)
    if (intensity.low, intensity.high) == (0, 100):  # known without sorting: ten times faster
        # Through memory forwards, whichever way the axes run: four times as fast again.
        ways = (slice(None, None, -1 if step < 0 else 1) for step in channel.strides)
        forwards = channel[tuple(ways)]
        return float(forwards.min()), float(forwards.max())
    low, high = np.percentile(channel, np.array([intensity.low, intensity.high]))
    return float(low), float(high)
