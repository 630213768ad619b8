"""Slice ↔ image: bring slices to the network's size and maps back to the slice's."""

import cv2
import numpy as np

from infer.shapes import SliceMaps, Slices

Size = tuple[int, ...]  # (height, width)


def to_image_size(slices: Slices, size: Size) -> np.ndarray:
    """Slices `(slice, channel, height, width)` → the same with `(height, width) = size`.

    Every axis that shrinks is averaged over areas, so that no small lesion falls between the
    samples; every axis that grows is interpolated linearly.
    """
    count, channels, *old = slices.shape
    if tuple(old) == tuple(size):
        return slices
    images = np.empty((count, channels, *size), np.float32)
    for source, target in zip(slices, images, strict=True):
        for plane, resized in zip(source, target, strict=True):
            _resize(plane, resized)
    return images


def to_slice_size(maps: SliceMaps, size: Size) -> np.ndarray:
    """Maps `(slice, height, width)` → the same with `(height, width) = size`."""
    return to_image_size(maps[:, np.newaxis], size)[:, 0]


def _resize(plane: np.ndarray, resized: np.ndarray) -> None:
    """Write `plane` into `resized`, at its size."""
    height, width = np.minimum(plane.shape, resized.shape).tolist()
    averaged = _averaged(np.ascontiguousarray(plane), height, width)
    # Copies where nothing grows.
    cv2.resize(averaged, resized.shape[::-1], dst=resized, interpolation=cv2.INTER_LINEAR)


def _averaged(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """A plane's means over areas, at a size at which no axis grows."""
    if plane.shape[0] % height or plane.shape[1] % width:
        # Axis by axis: the same means in two thirds of the time.
        plane = _area_means(plane, height, plane.shape[1])
    # By whole factors in one go; halved in both axes, that takes a sixth of the time.
    return _area_means(plane, height, width)


def _area_means(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    if plane.shape == (height, width):
        return plane
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA))
