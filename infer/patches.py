"""Cover images with overlapping patches, and put together what is said of the patches."""

from dataclasses import dataclass
from itertools import product
from types import EllipsisType

import numpy as np

from infer.scoring import Aggregation, scan_score
from infer.shapes import Images, Scores

Window = tuple[EllipsisType | slice, ...]  # of an array's last axes: where a patch lies


@dataclass(frozen=True, slots=True, kw_only=True)
class Patches:
    """How images are cut for a network that takes patches, and scored by what it says of them."""

    size: tuple[int, ...]  # (height, width), pixels
    stride: tuple[int, ...]  # pixels from one patch to the next, at most `size`: none is left out
    # An image's score is the mean of the highest `top_share` of its patches', as a scan's is of
    # its slices': of at least one, so 1e-9 is the strongest patch.
    top_share: float

    def __post_init__(self) -> None:
        if len(self.size) != len(self.stride):
            raise ValueError(
                f"size and stride must have one value per axis, "
                f"got {list(self.size)} and {list(self.stride)}"
            )
        for side, step in zip(self.size, self.stride, strict=True):
            if not 1 <= step <= side:
                raise ValueError(
                    f"stride must be at least 1 and at most size, "
                    f"got stride {list(self.stride)} for size {list(self.size)}"
                )
        Aggregation(top_share=self.top_share)

    def windows(self, image_size: tuple[int, ...]) -> list[Window]:
        """Where the patches of an image lie, row by row.

        Raises:
            ValueError: a patch is larger than the image.
        """
        if len(self.size) != len(image_size) or any(
            side > whole for side, whole in zip(self.size, image_size, strict=True)
        ):
            raise ValueError(
                f"patches of {list(self.size)} do not fit into images of {list(image_size)}"
            )
        along = [
            [slice(start, start + side) for start in starts(whole, side, step)]
            for whole, side, step in zip(image_size, self.size, self.stride, strict=True)
        ]
        return [(..., *window) for window in product(*along)]


def starts(length: int, side: int, stride: int) -> list[int]:
    """First pixel of each patch along one axis; the last patch ends where the axis does.

    >>> starts(10, 4, 4), starts(8, 4, 2), starts(4, 4, 1)
    ([0, 4, 6], [0, 2, 4], [0])
    """
    last = length - side
    return [*range(0, last, stride), last]


def cover(images: Images, patches: Patches) -> np.ndarray:
    """Patches `(patch, channel, *size)`: all of the first image, then all of the second."""
    windows = patches.windows(images.shape[2:])
    cut = np.empty((len(images), len(windows), images.shape[1], *patches.size), np.float32)
    for at, window in enumerate(windows):
        cut[:, at] = images[window]
    return cut.reshape(-1, *cut.shape[2:])


def stitch(cut: Images, patches: Patches, image_size: tuple[int, ...]) -> np.ndarray:
    """Images, or maps, from what was made of the patches of `cover`: means where they overlap."""
    windows = patches.windows(image_size)
    by_image = cut.reshape(-1, len(windows), *cut.shape[1:])
    # Double precision: equal values have themselves as their mean, however many overlap.
    sums = np.zeros((len(by_image), cut.shape[1], *image_size), np.float64)
    for at, window in enumerate(windows):
        sums[window] += by_image[:, at]
    means: np.ndarray = (sums / _counts(patches, image_size)).astype(np.float32)
    return means


def image_scores(patch_scores: Scores, patches: Patches, image_size: tuple[int, ...]) -> np.ndarray:
    """One score per image from those of its patches, in the order of `cover`."""
    each = len(patches.windows(image_size))
    how = Aggregation(top_share=patches.top_share)
    return np.array([scan_score(own, how) for own in patch_scores.reshape(-1, each)], np.float32)


def _counts(patches: Patches, image_size: tuple[int, ...]) -> np.ndarray:
    """How many patches cover each pixel."""
    counts = np.zeros(image_size, np.int64)
    for window in patches.windows(image_size):
        counts[window] += 1
    return counts
