"""Cases → the images that networks see, read as the product reads them, and what is known of each.

The foreground of an image is what is brighter than the darkest value of its whole scan, by more
than half a grey level of 255: all that is not the black around a skull-stripped brain, beyond the
lower end of a window, or outside of `data.preprocessing.foreground`. In scans whose air is noise it
is everything, unless that recipe takes the air away: then a slice's own values would have to say
what is air, and they cannot where there is nothing else.
"""

from typing import NamedTuple

import numpy as np

from infer.errors import UnreadableScanError
from infer.finding import images_of
from infer.readers import read
from infer.readers.choice import seen_along
from infer.shapes import Images
from infer.slicing import to_slices
from train.data import DataConfig
from train.datasets.case import Case

DARKEST = 0.5 / 255  # above a scan's lowest value; images lie in [0, 1]


class Stored(NamedTuple):
    """The images of one scan, and of each: its slice, whether it shows nothing abnormal, where
    along the stack it lies (its middle, from 0 to 1) and the share of it that is foreground."""

    images: Images
    slices: np.ndarray
    normal: np.ndarray
    positions: np.ndarray
    foreground: np.ndarray


def read_case(case: Case, data: DataConfig) -> Stored:
    """All slices of a scan with enough foreground.

    Raises:
        UnreadableScanError: it, or its mask, cannot be read, or no slice has.
    """
    images, normal = _seen(case, data)
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
        slices=kept,
        normal=normal[kept],
        positions=(kept + 0.5) / len(images),
        foreground=foreground[kept],
    )


def foreground_shares(images: Images) -> np.ndarray:
    """The share of each image of a scan that any channel shows above the scan's darkest value."""
    darkest = images.min(axis=tuple(it for it in range(images.ndim) if it != 1), keepdims=True)
    return np.array(
        [(image > (darkest[0] + np.float32(DARKEST))).any(axis=0).mean() for image in images]
    )


def _seen(case: Case, data: DataConfig) -> tuple[Images, np.ndarray]:
    """A scan's images, and which of them show nothing abnormal."""
    choice = seen_along(data.plane)
    volume = read(case.scan, choice)
    images = images_of(
        volume,
        channels=data.channels,
        intensity=data.intensity.to_range(0.0, 1.0),
        preprocessing=data.preprocessing,
        plane=data.plane,
        image_size=data.image_size,
    )
    if case.normal or case.mask is None:
        return images, np.full(len(images), case.normal)
    mask = read(case.mask, choice).voxels
    if mask.shape[1:] != volume.voxels.shape[1:]:
        raise UnreadableScanError(f"its mask {case.mask} is not of the scan's size")
    # A slice that a lesion does not reach is a normal slice of an abnormal scan.
    reached = to_slices(mask != 0, data.plane).any(axis=(1, 2, 3))
    return images, np.logical_not(reached)
