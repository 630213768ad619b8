"""Whole volumes as images: what a network that looks at a volume at once sees, and the way back.

The length of a model's `image_size` says which it is: (height, width) takes slices, (depth, height,
width) volumes. A volume is brought to that size axis by axis, as slices are along theirs: averaged
where an axis shrinks, so that no small lesion falls between the samples, interpolated linearly
where it grows. So scans of any size, thick slices or thin, become images of one size. Its axes run
towards S, P and L whatever the model's plane, which only says along which slices noise is reduced,
the foreground is looked for and masks are closed, and which of them pictures show.
"""

import numpy as np

from infer.errors import UnreadableScanError
from infer.manifest import Manifest
from infer.resizing import to_image_size
from infer.shapes import Foreground, Images, Maps, Scores, Slices
from infer.slicing import Plane, from_slices, plane_axes, step_axis, to_slices

Size = tuple[int, ...]
# An image has as many voxels as a batch of slices has pixels.
AT_ONCE = 1


def is_volumetric(image_size: Size) -> bool:
    """Whether a network that takes images of this size looks at whole volumes."""
    return len(image_size) == 3


def usual_batch_size(image_size: Size, of_slices: int) -> int:
    """How many images, or patches of them, go through a network together unless told otherwise."""
    return AT_ONCE if is_volumetric(image_size) else of_slices


def size_across(image_size: Size, plane: Plane) -> Size:
    """(height, width) of an image's slices along a plane; of an image of a slice, its own."""
    if not is_volumetric(image_size):
        return image_size
    _, row, column = plane_axes(plane)
    return image_size[row], image_size[column]


def refuse_flat(spatial: Size) -> None:
    """Refuse what has no depth to look at.

    Raises:
        UnreadableScanError: it is a picture, or a single slice.
    """
    if len(spatial) == 3 and min(spatial) >= 2:
        return
    size = " × ".join(map(str, spatial))
    what = "a picture" if len(spatial) == 2 else "a single slice"
    raise UnreadableScanError(
        f"it is {what} of {size} and the model looks at whole volumes",
        hint="score the volume that it is a part of, or use a model made for slices",
    )


def whole(slices: Slices, plane: Plane, image_size: Size) -> np.ndarray:
    """One image `(1, channel, *image_size)` of a volume's slices, each resized in its plane."""
    channels = range(slices.shape[1])
    spatial = _stacked(len(slices), slices.shape[2:], plane)
    volumes = [from_slices(slices[:, channel], plane, spatial=spatial) for channel in channels]
    return resized(np.stack(volumes)[np.newaxis], image_size)


def resized(volumes: Images, size: Size) -> np.ndarray:
    """Volumes `(volume, channel, depth, height, width)` → the same at another size."""
    depth, *across = size
    # What shrinks first and grows last is less work, and the order makes no difference.
    if depth < volumes.shape[2]:
        return _along_depth(_across_depth(volumes, tuple(across)), depth)
    return _across_depth(_along_depth(volumes, depth), tuple(across))


def slice_maps(maps: Maps, plane: Plane, spatial: Size) -> np.ndarray:
    """The map of one whole volume `(1, 1, *pixels)` on the volume's own grid, slice by slice."""
    slices: np.ndarray = to_slices(resized(maps, spatial)[0], plane)[:, 0]
    return slices


def slice_seen(images: Images, at: int, plane: Plane, spatial: Size) -> np.ndarray:
    """What is seen of slice `at` of a scan in its images `(image, channel, *pixels)`.

    That slice itself where each is an image; else the nearest one of the volume's image.
    """
    if images.ndim == 4:
        return np.asarray(images[at])
    slices = to_slices(images[0], plane)
    count = spatial[step_axis(plane)]
    return np.asarray(slices[int((at + 0.5) * len(slices) / count)])


def images_reached(mask: Foreground, plane: Plane, image_size: Size) -> np.ndarray:
    """Which of a scan's images show any of a mask: a slice each, or the volume."""
    if is_volumetric(image_size):
        return np.array([mask.any()])
    return np.asarray(to_slices(mask[np.newaxis], plane).any(axis=(1, 2, 3)))


def worst_of(slice_scores: Scores, peak: tuple[int, ...], manifest: Manifest) -> int:
    """Which slice pictures show: that with the highest score; of a whole volume, that of its peak.

    Counted as the model's plane cuts the volume, not as the file does.
    """
    if is_volumetric(manifest.image_size):
        return peak[step_axis(manifest.plane)]
    return int(slice_scores.argmax())


def _stacked(count: int, across: Size, plane: Plane) -> Size:
    """The shape of a volume of so many slices `(height, width)`."""
    spatial = [0, 0, 0]
    for axis, length in zip(plane_axes(plane), (count, *across), strict=True):
        spatial[axis] = length
    return tuple(spatial)


def _across_depth(volumes: np.ndarray, size: Size) -> np.ndarray:
    """Every axial slice resized."""
    count, channels, depth = volumes.shape[:3]
    slices = volumes.reshape(count, channels * depth, *volumes.shape[3:])
    return to_image_size(slices, size).reshape(count, channels, depth, *size)


def _along_depth(volumes: np.ndarray, depth: int) -> np.ndarray:
    """Every coronal slice resized in its height."""
    turned = volumes.transpose(0, 3, 1, 2, 4)  # (volume, height, channel, depth, width)
    count, height, channels, _, width = turned.shape
    slices = turned.reshape(count * height, *turned.shape[2:])
    grown = to_image_size(slices, (depth, width)).reshape(count, height, channels, depth, width)
    return np.ascontiguousarray(grown.transpose(0, 2, 3, 1, 4))
