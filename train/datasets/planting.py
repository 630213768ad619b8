"""Plant an anomaly into a healthy scan, and say exactly which voxels it changed.

Where: wholly in the tissue, which is the foreground less a margin (so that no skull and no skin is
hit); a scan that ends, as a stack of few slices does, may cut it. How large: radii in mm, by the
scan's spacing. How strong: the change is at most `contrast`'s upper end times the standard
deviation of the tissue, makes nothing brighter or darker than tissue usually is (or a maximum
would find it), and rises linearly from nothing at the surface to its full strength within `edge`
of the radius.

The mask holds every voxel whose value is another than before, down to the faintest of the soft
edge, and no other. A change that hardly anybody could see is none: unless the voxels inside change
by `least_change` standard deviations of the tissue on average, all is drawn again.

What is drawn follows from the voxels of the scan, the seed and the number of the copy, and from
nothing else: neither from other scans nor from how many copies are made.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from infer.foreground import ForegroundRecipe, foreground_of
from infer.intensity import Intensity, rescale
from infer.shapes import Foreground, Mask, Voxels
from infer.slicing import from_slices, to_slices
from infer.volume import Volume
from train.bounds import Seed
from train.datasets.anomalies import KINDS, Kind, Site
from train.datasets.ellipsoid import Ellipsoid, ball, region_of
from train.datasets.planted_file import as_stored

MOST_CONTRAST = 2.0  # standard deviations: beyond, a threshold finds it
USUAL = (0.1, 99.9)  # percentiles of the tissue
ATTEMPTS = 400  # of place and shape
MOSTLY_AIR = 0.1  # of the 99th percentile: a slice whose foreground is darker shows nothing
_AS_SEEN = Intensity(recipe="percentile", low=0, high=99, output_low=0, output_high=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantingConfig:
    """What is planted: see each field; a pair is a range that each anomaly draws from."""

    kinds: tuple[str, ...]  # of `anomalies.KINDS`
    per_scan: int  # abnormal copies of each scan, with one anomaly each: every kind in turn
    radii_mm: tuple[float, float]  # each radius of an ellipsoid by itself
    contrast: tuple[float, float]  # standard deviations of the tissue
    least_change: float  # standard deviations, on average inside; at most half of `contrast`
    edge: float  # share of the radius, in which the change rises to its full strength
    foreground: ForegroundRecipe
    margin_mm: float  # in the slice, from the foreground's rim
    pixel_mm: float | None  # what a pixel measures of scans that do not say; null: refuse those
    seed: Seed

    def __post_init__(self) -> None:
        if strange := [kind for kind in self.kinds if kind not in KINDS]:
            raise ValueError(f"kind {strange[0]!r} is unknown: use {', '.join(KINDS)}")
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds must name at least one kind, and none twice")
        if self.per_scan < 1:
            raise ValueError(f"per_scan must be at least 1, got {self.per_scan}")
        if not 0 < self.radii_mm[0] <= self.radii_mm[1]:
            raise ValueError(f"radii_mm must be a range above 0, got {list(self.radii_mm)}")
        if not 0 < self.contrast[0] <= self.contrast[1] <= MOST_CONTRAST:
            raise ValueError(
                f"contrast must be a range above 0 and up to {MOST_CONTRAST} standard deviations "
                f"of the tissue, got {list(self.contrast)}"
            )
        if not 0 < self.least_change <= self.contrast[0] / 2:
            raise ValueError(
                "least_change must be above 0 and at most half of contrast's lower end, "
                f"got {self.least_change}"
            )
        if not 0 < self.edge <= 1:
            raise ValueError(f"edge must be above 0 and at most 1, got {self.edge}")
        if self.margin_mm < 0:
            raise ValueError(f"margin_mm must not be negative, got {self.margin_mm}")
        if self.pixel_mm is not None and not self.pixel_mm > 0:
            raise ValueError(f"pixel_mm must be above 0, got {self.pixel_mm}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthy:
    """A healthy scan, and what planting needs to know of it."""

    volume: Volume
    spacing_mm: tuple[float, ...]
    tissue: Foreground
    places: np.ndarray  # (place,): the voxels of the tissue, counted through the grid
    std: np.ndarray  # (channel, *1): standard deviation of the tissue
    usual: tuple[np.ndarray, np.ndarray]  # (channel, *1): between which tissue usually lies
    key: tuple[int, ...]  # of its voxels


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A scan with one anomaly."""

    kind: str
    size_mm: float  # radius of the sphere (of a picture, disc) of the anomaly's volume (area)
    voxels: Voxels
    mask: Mask


def healthy(volume: Volume, spacing_mm: tuple[float, ...], config: PlantingConfig) -> Healthy:
    """What planting needs to know of a scan; `spacing_mm` because pictures do not say theirs."""
    spatial = volume.voxels.shape[1:]
    tissue = _tissue(volume, spacing_mm, config)
    flat = np.ascontiguousarray(volume.voxels).reshape(len(volume.voxels), -1)
    places = np.flatnonzero(tissue)
    values = flat[:, places] if len(places) else np.zeros((len(flat), 1), np.float32)
    low, high = np.percentile(values, np.array(USUAL), axis=1)
    per_channel = (-1, *[1] * len(spatial))
    return Healthy(
        volume=volume,
        spacing_mm=spacing_mm,
        tissue=tissue,
        places=places,
        std=values.std(axis=1).reshape(per_channel),
        usual=(low.reshape(per_channel), high.reshape(per_channel)),
        key=tuple(hashlib.blake2b(flat.data, digest_size=16).digest()),
    )


def kind_of(scan: Healthy, number: int, config: PlantingConfig) -> str:
    """The kind of the copy `number`: each scan goes through all in an order of its own."""
    order = _chance(scan, 0, config).permutation(len(config.kinds))
    return config.kinds[int(order[number % len(order)])]


def plant(scan: Healthy, number: int, config: PlantingConfig) -> Planted | None:
    """The abnormal copy `number` (from 0) of a scan; None where there is no room for it."""
    name, rng = kind_of(scan, number, config), _chance(scan, number + 1, config)
    for _ in range(ATTEMPTS if len(scan.places) else 0):
        shape = _drawn(scan, KINDS[name], config, rng)
        region = region_of(shape, spatial=scan.tissue.shape, spacing_mm=scan.spacing_mm)
        if not scan.tissue[region.window][region.inside].all():
            continue
        site = Site(
            voxels=scan.volume.voxels,
            tissue=scan.tissue,
            spacing_mm=scan.spacing_mm,
            region=region,
            centre=shape.centre,
            size_mm=shape.size_mm,
            change=rng.uniform(*config.contrast) * scan.std,
        )
        instead = KINDS[name].replace(site, rng)
        if instead is None:
            continue
        changed = _blended(scan, site, instead, config)
        if _change(changed - site.here, scan.std, region.inside) >= config.least_change:
            return _planted(scan, site, changed, name)
    return None


def _chance(scan: Healthy, which: int, config: PlantingConfig) -> np.random.Generator:
    return np.random.default_rng([config.seed, which, *scan.key])


def _tissue(volume: Volume, spacing_mm: Sequence[float], config: PlantingConfig) -> Foreground:
    """Where anomalies may lie: the foreground of each slice less a margin."""
    slices = to_slices(rescale(volume.voxels, volume.unit, _AS_SEEN), "axial")
    if config.foreground == "none":
        found = np.ones((len(slices), *slices.shape[-2:]), bool)
    else:
        found = foreground_of(slices, config.foreground)
        # Of a slice in which it finds nothing, it says that all is foreground.
        for picture, mask in zip(slices, found, strict=True):
            mask &= picture[:, mask].mean() > MOSTLY_AIR
    height_px, width_px = (round(config.margin_mm / it) for it in spacing_mm[-2:])
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width_px + 1, 2 * height_px + 1))
    tissue = np.stack([cv2.erode(it.view(np.uint8), disc) for it in found])
    return from_slices(tissue.view(bool), "axial", spatial=volume.voxels.shape[1:])


def _drawn(
    scan: Healthy, kind: Kind, config: PlantingConfig, rng: np.random.Generator
) -> Ellipsoid:
    """A ball, or an ellipsoid that is turned at random, somewhere in the tissue."""
    spatial = scan.tissue.shape
    place = np.unravel_index(int(rng.choice(scan.places)), spatial)
    centre = tuple(int(at) for at in place)
    low, high = config.radii_mm
    if kind.is_ball:
        return ball(centre, rng.uniform(low, high))
    axes = len(spatial)
    return Ellipsoid(
        centre=centre,
        radii_mm=tuple(rng.uniform(low, high, axes).tolist()),
        directions=np.linalg.qr(rng.normal(size=(axes, axes))).Q,
    )


def _blended(scan: Healthy, site: Site, instead: np.ndarray, config: PlantingConfig) -> np.ndarray:
    """The window as it will be stored, `(channel, *window)`."""
    weight = np.clip((1 - site.region.distances) / config.edge, 0, 1)
    most = config.contrast[1] * scan.std
    change = weight * np.clip(instead - site.here, -most, most)
    low, high = scan.usual
    limits = np.minimum(low, site.here), np.maximum(high, site.here)
    blended = as_stored(np.clip(site.here + change, *limits), scan.volume)
    return np.where(change != 0, blended, site.here)


def _change(change: np.ndarray, std: np.ndarray, inside: Foreground) -> float:
    """In standard deviations, on average; of the channel that changes most."""
    means = np.abs(change)[:, inside].mean(axis=1)
    spread = std.ravel()
    return float(np.divide(means, spread, out=np.zeros_like(spread), where=spread > 0).max())


def _planted(scan: Healthy, site: Site, changed: np.ndarray, kind: str) -> Planted:
    voxels = scan.volume.voxels.copy()
    voxels[(slice(None), *site.region.window)] = changed
    mask = np.zeros(scan.tissue.shape, bool)
    mask[site.region.window] = (changed != site.here).any(axis=0)
    return Planted(kind=kind, size_mm=round(site.size_mm, 2), voxels=voxels, mask=mask)
