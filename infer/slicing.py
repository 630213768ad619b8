"""Cut a volume into slices along an anatomical plane, and stack maps back."""

import math
from typing import Literal

import numpy as np

from infer.volume import Grid

Plane = Literal["axial", "coronal", "sagittal"]

# Shares of a volume along the axis its slices are counted along, 0 to 1.
SliceRange = tuple[float, float]
WHOLE: SliceRange = (0.0, 1.0)

# A volume's axes run towards S, P, L. Each plane: which axis is stepped through, which become
# the rows and columns of a slice, and whether rows are turned so that the head is up
# (radiological convention: the patient's left is on the right).
_AXES: dict[Plane, tuple[int, int, int]] = {
    "axial": (0, 1, 2),
    "coronal": (1, 0, 2),
    "sagittal": (2, 0, 1),
}


def check_slice_range(slice_range: SliceRange, image_size: tuple[int, ...]) -> None:
    """Refuse what is no part of a volume, and a part of one that is looked at as a whole.

    Raises:
        ValueError: it does not rise within 0 to 1, or images are volumes and it leaves any out.
    """
    low, high = slice_range
    if not 0 <= low < high <= 1:
        raise ValueError(f"slice_range must rise within 0 to 1, got {list(slice_range)}")
    if len(image_size) == 3 and (low, high) != WHOLE:
        raise ValueError(
            f"slice_range {list(slice_range)} is for models of slices; of whole volumes, as "
            f"image_size {list(image_size)} says, it must be {list(WHOLE)}"
        )


def to_slices(voxels: np.ndarray, plane: Plane) -> np.ndarray:
    """Slices `(slice, channel, height, width)` of voxels `(channel, *spatial)`.

    A picture `(channel, height, width)` is one slice, whatever the plane.
    """
    if voxels.ndim == 3:
        return voxels[np.newaxis]
    step, row, column = (axis + 1 for axis in _AXES[plane])
    slices: np.ndarray = voxels.transpose(step, 0, row, column)
    if plane != "axial":
        return np.flip(slices, axis=2)
    return slices


def from_slices(maps: np.ndarray, plane: Plane, *, spatial: tuple[int, ...]) -> np.ndarray:
    """Inverse of `to_slices` for one channel: maps `(slice, height, width)` → `(*spatial)`."""
    if len(spatial) == 2:
        return np.asarray(maps[0])
    turned = maps if plane == "axial" else maps[:, ::-1]
    stacked: np.ndarray = np.transpose(turned, np.argsort(_AXES[plane]).tolist())
    return stacked


def grid_of_stack(shape: tuple[int, ...], plane: Plane) -> Grid:
    """The grid of slices `(slice, height, width)` stored as one looks at them; or of a single one.

    Cut along `plane`, the volume gives back the slices as they are stored.
    """
    if len(shape) == 2:
        return Grid(shape=shape, axes=(0, 1), flipped=(False, False))
    step, row, column = _AXES[plane]
    axes, flipped = [0, 0, 0], [False, False, False]
    axes[step], axes[row], axes[column] = 0, 1, 2
    flipped[row] = plane != "axial"
    return Grid(shape=shape, axes=tuple(axes), flipped=tuple(flipped))


def index_in_volume(
    index: tuple[int, int, int], plane: Plane, *, spatial: tuple[int, ...]
) -> tuple[int, ...]:
    """Where (slice, row, column) lies in `(*spatial)`."""
    if len(spatial) == 2:
        return index[1:]
    at = list(index)
    if plane != "axial":
        at[1] = spatial[_AXES[plane][1]] - 1 - at[1]
    return tuple(at[position] for position in np.argsort(_AXES[plane]))


def looked_at(spatial: tuple[int, ...], plane: Plane, slice_range: SliceRange) -> range:
    """Which slices of a volume `(*spatial)` lie in a range, by their middle; at least one does.

    A share of the volume and not of what is seen in it: where a patient begins would depend on
    noise, and on his lesions. Counted from the inferior, anterior or right end, whichever way the
    file runs.

    >>> looked_at((10, 8, 8), "axial", (0.2, 0.75))
    range(2, 7)
    """
    if len(spatial) == 2:
        return range(1)
    count = spatial[_AXES[plane][0]]
    start, stop = (math.ceil(round(share * count - 0.5, 6)) for share in slice_range)
    if start < stop:
        return range(start, stop)
    nearest = min(count - 1, int(sum(slice_range) / 2 * count))
    return range(nearest, nearest + 1)


def as_slice(looked: range) -> slice:
    """What `looked_at` names, to cut it out with."""
    return slice(looked.start, looked.stop)


def plane_axes(plane: Plane) -> tuple[int, int, int]:
    """Which axes `(depth, height, width)` are stepped through, the rows and the columns."""
    return _AXES[plane]


def step_axis(plane: Plane) -> int:
    """Which of a volume's axes `(depth, height, width)` its slices are counted along."""
    return _AXES[plane][0]
