"""Spoil healthy images as a restorer's training needs: coarse noise, or planted lesions.

Pure functions: the images given stay as they are, chance is torch's global generator on their
device, and what comes back lies in the same intensity range.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from train.bounds import Amount, Count
from train.shapes import Images, Maps

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
AIR = 0.05  # of the intensity range above an image's darkest pixel: darker is no tissue
OUTLINE_CELLS = 8  # across a slice: how coarse the waves of a lesion's outline are
REACH = 3.0  # of an outline, in radii: beyond it no wave can carry a lesion


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseConfig:
    """Gaussian noise drawn on a coarse grid and enlarged."""

    resolution: Count  # cells along the image's shortest side
    std: Amount  # share of the intensity range


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionsConfig:
    """Soft irregular blobs in the tissue; a pair is a range that each lesion draws from."""

    count: tuple[int, int]  # per image
    radius: tuple[float, float]  # share of a slice's shortest side; drawn per axis
    contrast: tuple[float, float]  # share of the intensity range; added or subtracted
    irregularity: Amount  # how far waves move the outline, in radii; 0: ellipses
    softness: float  # width of the outline, in radii

    def __post_init__(self) -> None:
        for name in ("count", "radius", "contrast"):
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be a range from 0 up, got {low} to {high}")
        if not self.radius[0] > 0:
            raise ValueError("radius must be above 0")
        if not self.softness > 0:
            raise ValueError(f"softness must be above 0, got {self.softness}")


def add_noise(images: Images, config: NoiseConfig, intensity_range: tuple[float, float]) -> Images:
    """Images with coarse noise; the grid lies elsewhere each time."""
    low, high = intensity_range
    spatial = images.shape[2:]
    cell = max(1, min(spatial) // config.resolution)
    # One cell more than fits, so that the grid can lie elsewhere each time, without a seam.
    whole = [size + cell for size in spatial]
    cells = [size // cell for size in whole]
    noise = coarse_waves((*images.shape[:2], *whole), cells, images.device)
    for axis, size in enumerate(spatial, start=2):
        noise = noise.narrow(axis, int(torch.randint(cell, ())), size)
    return (images + config.std * (high - low) * noise).clamp(low, high)


def plant_lesions(
    images: Images, config: LesionsConfig, intensity_range: tuple[float, float]
) -> Images:
    """Images with lesions in their tissue, brighter or darker in each channel by its own draw."""
    low, high = intensity_range
    tissue = tissue_in(images, intensity_range)
    planted = images
    fewest, most = config.count
    wanted = torch.randint(fewest, most + 1, (len(images),), device=images.device)
    for number in range(most):
        present = (number < wanted).view(-1, *[1] * (images.ndim - 1))
        change = _contrasts(images, config, high - low) * blobs(tissue, config)
        planted = planted + present * change
    return planted.clamp(low, high)


def tissue_in(images: Images, intensity_range: tuple[float, float]) -> Tensor:
    """Where there is more than air (batch, 1, *spatial), also in an image made brighter as a whole:
    an augmentation lifts the air with all else."""
    low, high = intensity_range
    brightest = images.amax(dim=1, keepdim=True)
    darkest = brightest.amin(dim=tuple(range(2, images.ndim)), keepdim=True)
    tissue: Tensor = brightest > darkest + AIR * (high - low)
    return tissue


def blobs(tissue: Tensor, config: LesionsConfig) -> Maps:
    """One soft irregular blob per image, 1 inside and 0 far outside, its centre in the tissue."""
    spatial, device = tissue.shape[2:], tissue.device
    centres = _centres(tissue)
    axes = _rotations(len(tissue), len(spatial), device)
    distances = _distances(_pixels(spatial, device), centres, axes, _radii(tissue, config))
    waves = coarse_waves(tuple(tissue.shape), cells_of(spatial, OUTLINE_CELLS), device).flatten(1)
    outline = 1 + config.irregularity * waves
    inside: Tensor = torch.sigmoid((outline - distances) / config.softness)
    blob: Tensor = inside * (distances < REACH)
    return blob.view_as(tissue)


def _distances(pixels: Tensor, centres: Tensor, axes: Tensor, radii: Tensor) -> Tensor:
    """Of each pixel from each centre, in radii along turned axes (batch, pixel).

    Axis by axis, each a contiguous row: a product of matrices would be autocast, and one sum over
    all of (batch, pixel, axis, axis) takes several times as long.
    """
    offsets = [at - to.unsqueeze(1) for at, to in zip(pixels.T, centres.T, strict=True)]
    squares = torch.zeros_like(offsets[0])
    for number in range(len(offsets)):
        along = torch.zeros_like(squares)
        for offset, turned in zip(offsets, axes[:, :, number].T, strict=True):
            along += offset * turned.unsqueeze(1)
        squares += (along / radii[:, number].unsqueeze(1)) ** 2
    return squares.sqrt()


def cells_of(spatial: tuple[int, ...], across: int) -> list[int]:
    """How many cells along each axis, if so many lie across a slice; along a depth, as large ones.

    >>> cells_of((8, 128, 128), 32)
    [2, 32, 32]
    """
    deep = [max(1, round(across * size / slice_side(spatial))) for size in spatial[:-2]]
    return [*deep, across, across]


def slice_side(spatial: tuple[int, ...]) -> int:
    """What sizes are shares of: the shortest side of a slice, however thin a volume is."""
    return min(spatial[-2:])


def coarse_waves(shape: tuple[int, ...], cells: list[int], device: torch.device) -> Tensor:
    """Gaussian noise of so many cells along each axis, enlarged to `shape`."""
    noise = torch.randn(*shape[:2], *cells, device=device)
    return functional.interpolate(noise, shape[2:], mode=LINEAR[len(cells)], align_corners=False)


def _contrasts(images: Images, config: LesionsConfig, span: float) -> Tensor:
    """What each lesion adds to each channel."""
    shape = (*images.shape[:2], *[1] * (images.ndim - 2))
    size = _between(*config.contrast, torch.rand(shape, device=images.device))
    sign = torch.randint(2, shape, device=images.device) * 2 - 1
    return span * sign * size


def _centres(tissue: Tensor) -> Tensor:
    """A pixel of each image's tissue (batch, axis); of the whole image where it has none."""
    eligible = tissue.flatten(1)
    eligible = eligible | ~eligible.any(dim=1, keepdim=True)
    # Counted, not drawn by `multinomial`, which draws a number for each pixel.
    counted = eligible.cumsum(dim=1)
    several = counted[:, -1:]
    wanted = 1 + (torch.rand(several.shape, device=tissue.device) * several).long()
    chosen = torch.searchsorted(counted, wanted.minimum(several)).squeeze(1)
    return _pixels(tissue.shape[2:], tissue.device)[chosen]


def _radii(tissue: Tensor, config: LesionsConfig) -> Tensor:
    """Along each axis, in pixels (batch, axis); as often from 2 to 4 as from 4 to 8."""
    axes = tissue.ndim - 2
    smallest, largest = map(math.log, config.radius)
    share = _between(smallest, largest, torch.rand(len(tissue), axes, device=tissue.device)).exp()
    return share * slice_side(tissue.shape[2:])


def _rotations(count: int, axes: int, device: torch.device) -> Tensor:
    """Random orthogonal axes: the QR factor of gaussian numbers."""
    rotations: Tensor = torch.linalg.qr(torch.randn(count, axes, axes, device=device)).Q
    return rotations


def _pixels(spatial: tuple[int, ...], device: torch.device) -> Tensor:
    """The coordinates of each pixel, in the order of a flattened image (pixel, axis)."""
    axes = [torch.arange(size, device=device, dtype=torch.float32) for size in spatial]
    return torch.cartesian_prod(*axes)


def _between(low: float, high: float, share: Tensor) -> Tensor:
    return low + (high - low) * share
