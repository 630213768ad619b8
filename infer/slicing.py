"""Cut a volume into slices along an anatomical plane, and stack maps back."""

from typing import Literal

import numpy as np

from infer.volume import Grid

Plane = Literal["axial", "coronal", "sagittal"]

# A volume's axes run towards S, P, L. Each plane: which axis is stepped through, which become
# the rows and columns of a slice, and whether rows are turned so that the head is up
# (radiological convention: the patient's left is on the right).
_AXES: dict[Plane, tuple[int, int, int]] = {
    "axial": (0, 1, 2),
    "coronal": (1, 0, 2),
    "sagittal": (2, 0, 1),
}


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


def plane_axes(plane: Plane) -> tuple[int, int, int]:
    """Which axes `(depth, height, width)` are stepped through, the rows and the columns."""
    return _AXES[plane]


def step_axis(plane: Plane) -> int:
    """Which of a volume's axes `(depth, height, width)` its slices are counted along."""
    return _AXES[plane][0]
