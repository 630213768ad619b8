"""Voxels with their geometry: what every reader returns and every writer needs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from infer.shapes import Voxels

# "modality": values of the scanner (HU in CT). "display": an exported picture, windowed by
# whoever exported it; 0 is black, 1 the white of the file's integer type.
Unit = Literal["modality", "display"]

# Readers refuse more before they allocate, times channels, unless told otherwise. The largest
# clinical volumes are CT of 512 × 512 × 2,000; in float32 this many are 2 GiB, and scoring holds a
# few such arrays at once.
MAX_VOXELS = 2**29


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """The file's own voxel grid, and how to return to it.

    A volume's axes here run towards S, P and L (depth, height, width: axial slices as
    radiology shows them); a file may store them in any order and direction.
    """

    shape: tuple[int, ...]  # as stored in the file, without channels
    axes: tuple[int, ...]  # axes[a] is the file's axis that became our axis a
    flipped: tuple[bool, ...]  # flipped[a]: our axis a runs against the file's
    header: Any = None  # the reader's own header, for the writer of the same format

    def to_file(self, array: np.ndarray) -> np.ndarray:
        """Bring an array `(*spatial)` in our order into the order of the file."""
        turned = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]
        return turned.transpose(np.argsort(self.axes))

    def from_file(self, array: np.ndarray) -> np.ndarray:
        """Bring an array in the order of the file into ours `(*spatial)`."""
        turned = array.transpose(self.axes)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flipped)]

    def index_in_file(self, index: Sequence[int]) -> tuple[int, ...]:
        """Where the voxel at `index` (our order) lies in the file."""
        position = [0] * len(self.shape)
        for axis, flip, at in zip(self.axes, self.flipped, index, strict=True):
            position[axis] = self.shape[axis] - 1 - int(at) if flip else int(at)
        return tuple(position)


def same_place(one: Grid, other: Grid) -> bool:
    """Whether two grids, alike in our order, put their voxels at the same places in the patient.

    Headers are rounded, and written by many hands: half a voxel is near enough. Where a file does
    not say where it lies, its axes must run as the other's; a picture lies nowhere.
    """
    if one.header is None or other.header is None:
        return True
    if not (_is_placed(one) and _is_placed(other)):
        return (one.axes, one.flipped) == (other.axes, other.flipped)
    lengths = [one.shape[axis] for axis in one.axes]
    corners = list(itertools.product(*((0, length - 1) for length in lengths)))
    here, there = (
        np.array([(*it.index_in_file(corner), 1) for corner in corners])
        @ it.header.get_best_affine()[:3].T
        for it in (one, other)
    )
    smallest = np.linalg.norm(one.header.get_best_affine()[:3, :3], axis=0).min()
    return bool(np.linalg.norm(here - there, axis=1).max() <= smallest / 2)


def _is_placed(grid: Grid) -> bool:
    return bool(grid.header["sform_code"] or grid.header["qform_code"])


def in_our_order(stored: np.ndarray, grid: Grid) -> np.ndarray:
    """Bring channels `(channel, *spatial)` in the order of the file into ours."""
    if len(stored) == 1:  # without a copy
        return grid.from_file(stored[0])[np.newaxis]
    return np.stack([grid.from_file(channel) for channel in stored])


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """One scan in memory: a picture `(channel, height, width)` or a volume
    `(channel, depth, height, width)` whose axes run towards S, P and L."""

    voxels: Voxels
    unit: Unit
    spacing_mm: tuple[float, ...] | None  # along each spatial axis; None: unknown (pictures)
    grid: Grid
    warnings: tuple[str, ...] = field(default=())
    modality: str = ""  # in DICOM's words; empty: the file does not say
