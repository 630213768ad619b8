"""Cases → the images that networks see, read as the product reads them, and what is known of each.

The foreground of an image is what is brighter than air, as `infer.foreground` tells them apart, but
by the values of the whole scan: a slice beyond the head has nothing but air, and cannot know it.
It serves alike where air is noise, where it is the black around a skull-stripped brain, and where
it lies beyond the lower end of a window.
"""

from typing import NamedTuple

import cv2
import numpy as np

from infer.errors import UnreadableScanError
from infer.foreground import LEVELS, air_of, three_classes
from infer.images import images_of
from infer.readers import read
from infer.readers.choice import seen_along
from infer.shapes import Images
from infer.slicing import looked_at, to_slices
from infer.volume import Volume
from infer.volumetric import images_reached, is_volumetric
from train.data import DataConfig
from train.datasets.case import Case
from train.truth import truth_of


class Stored(NamedTuple):
    """The images of one scan, and of each: its slice, whether it shows nothing abnormal, where
    along the stack it lies (its middle, from 0 to 1) and the share of it that is foreground."""

    images: Images
    slices: np.ndarray
    normal: np.ndarray
    positions: np.ndarray
    foreground: np.ndarray
    warnings: tuple[str, ...]  # what its reader had to say


def read_case(case: Case, data: DataConfig) -> Stored:
    """All slices of a scan that are looked at and have enough foreground.

    Raises:
        UnreadableScanError: it, or its mask, cannot be read, or no slice has.
    """
    images, normal, slices, stack, warnings = see(case, data)
    foreground = foreground_shares(images)
    kept = np.flatnonzero(foreground >= data.smallest_foreground)
    if not len(kept):
        raise UnreadableScanError(
            f"none of its {len(images)} slices has a foreground of {data.smallest_foreground:g}, "
            f"the most is {foreground.max():.3f}",
            hint="lower data.smallest_foreground",
        )
    return Stored(
        # A copy of whatever is kept would be a second scan in memory.
        images=images if len(kept) == len(images) else images[kept],
        slices=slices[kept],
        normal=normal[kept],
        positions=(slices[kept] + 0.5) / stack,
        foreground=foreground[kept],
        warnings=warnings,
    )


def foreground_shares(images: Images) -> np.ndarray:
    """The share of each image of a scan that is brighter than the scan's air."""
    counts = np.stack([_counts(image) for image in images])
    air = _air(counts.sum(axis=0))
    return np.asarray(counts[:, air + 1 :].sum(axis=1) / counts.sum(axis=1))


def _counts(image: np.ndarray) -> np.ndarray:
    """How many pixels have each of the levels that foreground is looked for in.

    Of brightness, the mean over channels.
    """
    grey = image[0] if len(image) == 1 else image.mean(axis=0)
    levels = np.clip(grey * LEVELS, 0, LEVELS - 1).astype(np.uint8)
    # NumPy would first make indices of 8 bytes of them. A third axis would be channels to OpenCV.
    flat = levels.reshape(-1, levels.shape[-1])
    counts = cv2.calcHist([flat], [0], None, [LEVELS], [0, LEVELS])
    return np.asarray(counts.ravel().astype(np.int64))


def _air(counts: np.ndarray) -> int:
    """The brightest level of air, in a scan with so many pixels of each."""
    classes = three_classes(counts)
    if classes is None:  # air and something, or nothing at all
        return int(np.flatnonzero(counts)[0])
    return air_of(classes)


def prepared_images(volume: Volume, data: DataConfig) -> Images:
    """What networks of a study see of a volume, in [0, 1]: as `uad-infer` makes it, by its code.

    Raises:
        UnreadableScanError: the volume's channels or its shape do not fit the study.
    """
    return images_of(
        volume,
        channels=data.channels,
        intensity=data.intensity.to_range(0.0, 1.0),
        preprocessing=data.preprocessing,
        plane=data.plane,
        image_size=data.image_size,
        slice_range=data.slice_range,
        colours=data.colours,
    )


class Seen(NamedTuple):
    """A scan's images, which of them show nothing abnormal, and their slices of a whole stack."""

    images: Images
    normal: np.ndarray
    slices: np.ndarray
    stack: int  # slices
    warnings: tuple[str, ...]


def see(case: Case, data: DataConfig) -> Seen:
    """The slices of a scan that are looked at, whatever is in them.

    Raises:
        UnreadableScanError: it, or its mask, cannot be read.
    """
    choice = seen_along(data.plane)
    volume = read(case.scan, choice)
    images = prepared_images(volume, data)
    if is_volumetric(data.image_size):
        looked, stack = range(1), 1
    else:
        looked = looked_at(volume.voxels.shape[1:], data.plane, data.slice_range)
        stack = len(to_slices(volume.voxels[:1], data.plane))
    normal, warnings = np.full(len(images), case.normal), volume.warnings
    mask = truth_of(case, volume, choice)
    if not case.normal and mask is not None:
        if not mask.any():
            warnings += ("it is abnormal, but its mask marks nothing: its slices count as normal",)
        # A slice that a lesion does not reach is a normal slice of an abnormal scan; a whole volume
        # that no lesion reaches is normal.
        reached = images_reached(mask, data.plane, data.image_size)
        normal = ~reached[looked.start : looked.stop]
    return Seen(images, normal, np.array(looked), stack, warnings)
