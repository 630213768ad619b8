"""An ellipsoid on a grid of voxels: which voxels it holds, and how deep in it each lies."""

import math
from dataclasses import dataclass

import numpy as np

from infer.shapes import Foreground

Window = tuple[slice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ellipsoid:
    """An ellipsoid whose middle is a voxel; of a picture, an ellipse."""

    centre: tuple[int, ...]  # a voxel
    radii_mm: tuple[float, ...]  # as many as axes
    directions: np.ndarray  # (radius, axis): where each radius points; orthonormal rows

    @property
    def size_mm(self) -> float:
        """The radius of the sphere (or disc) of the same volume (or area)."""
        return math.prod(self.radii_mm) ** (1 / len(self.radii_mm))


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """The part of a scan's grid that an ellipsoid reaches; less than all of it at a border."""

    window: Window
    offsets: np.ndarray  # (radius, *window): from the centre along each radius, in radii
    distances: np.ndarray  # (*window): from the centre, in radii; the surface is at 1

    @property
    def inside(self) -> Foreground:
        return np.asarray(self.distances < 1)


def ball(centre: tuple[int, ...], radius_mm: float) -> Ellipsoid:
    """One radius in all directions, which are those of the grid."""
    axes = len(centre)
    return Ellipsoid(centre=centre, radii_mm=(radius_mm,) * axes, directions=np.eye(axes))


def region_of(
    ellipsoid: Ellipsoid, *, spatial: tuple[int, ...], spacing_mm: tuple[float, ...]
) -> Region:
    """Where an ellipsoid lies on a grid of this size and spacing."""
    radii = np.array(ellipsoid.radii_mm)
    reach_mm = np.linalg.norm(ellipsoid.directions * radii[:, np.newaxis], axis=0)
    reach = np.floor(reach_mm / np.array(spacing_mm)).astype(int)
    window = tuple(
        slice(max(0, at - int(far)), min(length, at + int(far) + 1))
        for at, far, length in zip(ellipsoid.centre, reach, spatial, strict=True)
    )
    along = [
        (np.arange(part.start, part.stop) - at) * spacing
        for part, at, spacing in zip(window, ellipsoid.centre, spacing_mm, strict=True)
    ]
    from_centre_mm = np.stack(np.meshgrid(*along, indexing="ij"))
    turned_mm = np.tensordot(ellipsoid.directions, from_centre_mm, axes=1)
    offsets = turned_mm / radii.reshape(-1, *[1] * len(spatial))
    return Region(
        window=window, offsets=offsets, distances=np.asarray(np.linalg.norm(offsets, axis=0))
    )
