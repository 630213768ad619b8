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
    # Axis by axis: OpenCV averages over areas only where no axis grows, and one axis after the
    # other gives the same means in two thirds of the time.
    shrunk = np.ascontiguousarray(_fewer_rows(plane, height))
    if width != shrunk.shape[1]:
        shrunk = np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_AREA))
    # Copies where nothing grows.
    cv2.resize(shrunk, resized.shape[::-1], dst=resized, interpolation=cv2.INTER_LINEAR)


def _fewer_rows(plane: np.ndarray, height: int) -> np.ndarray:
    """Its rows averaged over areas to so many."""
    each, rest = divmod(len(plane), height)
    if each == 1 and not rest:
        return plane
    if rest or plane.dtype != np.float32:
        size = (plane.shape[1], height)
        return np.asarray(
            cv2.resize(np.ascontiguousarray(plane), size, interpolation=cv2.INTER_AREA)
        )
    # Whole rows are added, not pixel by pixel: a third to a sixth of the time. Four at a time as
    # OpenCV does, so that the means are the same to the last bit.
    rows = [plane[at::each] for at in range(each)]
    turned = plane.strides[0] < 0  # as scans often lie: OpenCV would copy all of it first
    if turned:
        rows = [row[::-1] for row in rows]
    total = np.zeros((height, plane.shape[1]), np.float32)
    fours = each - each % 4
    for at in range(0, fours, 4):
        four = cv2.add(cv2.add(cv2.add(rows[at], rows[at + 1]), rows[at + 2]), rows[at + 3])
        cv2.add(total, four, total)
    for row in rows[fours:]:
        cv2.add(total, row, total)
    total *= np.float32(1) / np.float32(each)
    return total[::-1] if turned else total
