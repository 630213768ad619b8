"""Rectangles of every slice that nobody is to look at: burnt-in dates, names and logos.

They become as dark as the darkest voxel of the scan before anything else is done, so that white
letters neither set the intensity range nor are seen; and nothing is anomalous in them.
"""

import math

import numpy as np

from infer.slicing import Plane, to_slices

# Top, left, bottom and right, as shares of a slice's height and width.
Rectangle = tuple[float, float, float, float]
Rectangles = tuple[Rectangle, ...]


def check_rectangles(rectangles: Rectangles) -> None:
    """Refuse what is no part of a slice.

    Raises:
        ValueError: a rectangle does not lie within 0 to 1, or has no area.
    """
    for top, left, bottom, right in rectangles:
        if not (0 <= top < bottom <= 1 and 0 <= left < right <= 1):
            raise ValueError(
                "blank is of rectangles [top, left, bottom, right] that rise within 0 to 1, got "
                f"{[top, left, bottom, right]}"
            )


def blanked(voxels: np.ndarray, rectangles: Rectangles, plane: Plane) -> np.ndarray:
    """Voxels `(channel, *spatial)` with the rectangles dark; themselves where there are none."""
    if not rectangles:
        return voxels
    dark = voxels.copy()
    slices = to_slices(dark, plane)  # a view
    darkest = voxels.reshape(len(voxels), -1).min(axis=1)[:, np.newaxis, np.newaxis]
    for rows, columns in _areas(slices.shape[-2:], rectangles):
        slices[:, :, rows, columns] = darkest
    return dark


def without_blanks(maps: np.ndarray, rectangles: Rectangles) -> np.ndarray:
    """Maps `(slice, height, width)` that are 0 in the rectangles; themselves if there are none."""
    if not rectangles:
        return maps
    cleared = maps.copy()
    for rows, columns in _areas(maps.shape[-2:], rectangles):
        cleared[:, rows, columns] = 0
    return cleared


def _areas(size: tuple[int, ...], rectangles: Rectangles) -> list[tuple[slice, slice]]:
    """Rows and columns of each rectangle; a pixel that it cuts is part of it."""
    height, width = size
    return [
        (
            slice(math.floor(top * height), math.ceil(bottom * height)),
            slice(math.floor(left * width), math.ceil(right * width)),
        )
        for top, left, bottom, right in rectangles
    ]
