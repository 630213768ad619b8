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
            resized[...] = _resize(plane, size)
    return images


def to_slice_size(maps: SliceMaps, size: Size) -> np.ndarray:
    """Maps `(slice, height, width)` → the same with `(height, width) = size`."""
    return to_image_size(maps[:, np.newaxis], size)[:, 0]


def _resize(plane: np.ndarray, size: Size) -> np.ndarray:
    # In two steps, because OpenCV averages over areas only where both axes shrink.
    height, width = (min(old, new) for old, new in zip(plane.shape, size, strict=True))
    resized: np.ndarray = np.ascontiguousarray(plane)
    if resized.shape != (height, width):
        resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_AREA)
    if resized.shape != tuple(size):
        resized = cv2.resize(resized, (size[1], size[0]), interpolation=cv2.INTER_LINEAR)
    return resized
