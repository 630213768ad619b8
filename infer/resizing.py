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
    shrunk = np.ascontiguousarray(plane)
    # Axis by axis: OpenCV averages over areas only where no axis grows, and one axis after the
    # other gives the same means in two thirds of the time.
    for size in ((shrunk.shape[1], height), (width, height)):
        if size != shrunk.shape[::-1]:
            shrunk = np.asarray(cv2.resize(shrunk, size, interpolation=cv2.INTER_AREA))
    # Copies where nothing grows.
    cv2.resize(shrunk, resized.shape[::-1], dst=resized, interpolation=cv2.INTER_LINEAR)
