"""The kinds of anomaly that can be planted: what stands in a scan where it is whole no more.

After the MOOD challenge (Zimmerer et al. 2022): spheres and ellipsoids of one brightness, textured
noise, local deformations, and patches that are copied, mirrored or blurred. Each kind says what
would be there at full strength; `planting.py` chooses the place, blends it in at the edge, and
bounds the change.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.shapes import Foreground, Voxels
from train.datasets.ellipsoid import Region

TRIES = 20  # where a copied patch may come from, before another place is drawn for it
GRAIN_PX = (0.6, 2.0)  # of noise: the width of the filter that makes a texture of it
SWIRL_DEGREES = (70.0, 180.0)  # in the middle
BULGE = (0.5, 0.9)  # what is lost of distances from the middle, in the middle
BLUR = 0.35  # width of the filter, in radii


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A scan and the place in it that is to become abnormal."""

    voxels: Voxels  # of the whole scan
    tissue: Foreground  # where anomalies may lie
    spacing_mm: tuple[float, ...]
    region: Region
    centre: tuple[int, ...]
    size_mm: float
    change: np.ndarray  # (channel, *1): what the drawn contrast is in each channel; above 0

    @property
    def here(self) -> np.ndarray:
        """The voxels of the window `(channel, *window)`."""
        return np.asarray(self.voxels[(slice(None), *self.region.window)])


# What stands in the window instead, `(channel, *window)`; None: not at this place.
Replace = Callable[[Site, np.random.Generator], np.ndarray | None]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of anomaly."""

    is_ball: bool  # else an ellipsoid
    replace: Replace


def _bright(site: Site, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(site.here + site.change)


def _dark(site: Site, rng: np.random.Generator) -> np.ndarray:
    return np.asarray(site.here - site.change)


def _noise(site: Site, rng: np.random.Generator) -> np.ndarray:
    """Grains of a size, as much brighter as darker, none by more than the contrast."""
    from scipy import ndimage  # a quarter of a second at start-up

    grains = ndimage.gaussian_filter(
        rng.normal(size=site.here.shape), (0, *[rng.uniform(*GRAIN_PX)] * site.tissue.ndim)
    )
    return np.asarray(site.here + site.change * np.clip(grains / grains.std(), -1, 1))


def _swirl(site: Site, rng: np.random.Generator) -> np.ndarray:
    """Turned about its middle, the more the nearer; what is turned in has been there before.

    In the plane of the two axes along which most is seen: of a stack of few slices, in the slices.
    """
    seen_mm = np.array(site.tissue.shape) * np.array(site.spacing_mm)
    first, second = sorted(np.argsort(-seen_mm, kind="stable")[:2])
    most = np.deg2rad(rng.uniform(*SWIRL_DEGREES)) * rng.choice([-1, 1])
    angle = most * np.clip(1 - site.region.distances, 0, None)
    offsets = site.region.offsets.copy()
    one, other = site.region.offsets[first], site.region.offsets[second]
    offsets[first] = np.cos(angle) * one - np.sin(angle) * other
    offsets[second] = np.sin(angle) * one + np.cos(angle) * other
    return _seen_at(site, offsets)


def _bulge(site: Site, rng: np.random.Generator) -> np.ndarray:
    """Enlarged in the middle, which pushes what is around it together."""
    near = np.clip(1 - site.region.distances**2, 0, None)
    return _seen_at(site, site.region.offsets * (1 - rng.uniform(*BULGE) * near))


def _copied(site: Site, rng: np.random.Generator) -> np.ndarray | None:
    """What stands elsewhere in the tissue of the same scan."""
    spatial, window = site.tissue.shape, site.region.window
    lowest = [-part.start for part in window]
    highest = [length - part.stop for part, length in zip(window, spatial, strict=True)]
    for _ in range(TRIES):
        shift = rng.integers(lowest, highest, endpoint=True)
        if np.linalg.norm(shift * np.array(site.spacing_mm)) < site.size_mm:
            continue
        there = tuple(
            slice(part.start + by, part.stop + by)
            for part, by in zip(window, shift.tolist(), strict=True)
        )
        if site.tissue[there][site.region.inside].all():
            return np.asarray(site.voxels[(slice(None), *there)])
    return None


def _mirrored(site: Site, rng: np.random.Generator) -> np.ndarray:
    """Turned over, along one of the axes of a slice.

    About a face of the middle voxel: about its centre, a whole plane would stay as it is.
    """
    axis = -int(rng.integers(1, 3))
    offsets = site.region.offsets.copy()
    offsets[axis] = site.spacing_mm[axis] / site.size_mm - offsets[axis]
    return _seen_at(site, offsets, order=0)


def _blurred(site: Site, rng: np.random.Generator) -> np.ndarray:
    """Out of focus; around the window as much is seen as the filter reaches."""
    from scipy import ndimage

    widths = [BLUR * site.size_mm / spacing for spacing in site.spacing_mm]
    around = tuple(
        slice(max(0, part.start - round(4 * width)), part.stop + round(4 * width))
        for part, width in zip(site.region.window, widths, strict=True)
    )
    blurred = ndimage.gaussian_filter(
        site.voxels[(slice(None), *around)], (0, *widths), mode="nearest"
    )
    inner = tuple(
        slice(part.start - wide.start, part.stop - wide.start)
        for part, wide in zip(site.region.window, around, strict=True)
    )
    return np.asarray(blurred[(slice(None), *inner)])


def _seen_at(site: Site, offsets: np.ndarray, *, order: Literal[0, 3] = 3) -> np.ndarray:
    """The window with the voxels of a ball at other offsets, in radii, than their own."""
    from scipy import ndimage

    per_axis = (-1, *[1] * site.tissue.ndim)
    spacing = np.array(site.spacing_mm).reshape(per_axis)
    starts = [at - part.start for at, part in zip(site.centre, site.region.window, strict=True)]
    places = offsets * site.size_mm / spacing + np.array(starts).reshape(per_axis)
    return np.stack(
        [ndimage.map_coordinates(it, places, order=order, mode="nearest") for it in site.here]
    )


KINDS = {
    "sphere_bright": Kind(True, _bright),
    "sphere_dark": Kind(True, _dark),
    "ellipsoid_bright": Kind(False, _bright),
    "ellipsoid_dark": Kind(False, _dark),
    "noise": Kind(False, _noise),
    "swirl": Kind(True, _swirl),
    "bulge": Kind(True, _bulge),
    "copied": Kind(False, _copied),
    "mirrored": Kind(True, _mirrored),
    "blurred": Kind(False, _blurred),
}
