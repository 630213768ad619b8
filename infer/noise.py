"""Noise reduction of slices, each on its own grid: median, or non-local means.

Non-local means is that of Buades, Coll and Morel (2005): a pixel becomes the mean of those around
it, each weighted by exp(−d² / h²), where d² is the mean squared difference between the squares
of pixels around both. Written here, by one shifted difference and one box filter for each
displacement, since OpenCV's takes 8 or 16 bits and, with 16, absolute differences only, and
scikit-image would be one more heavy library for users who score scans.

Beyond its border a slice is reflected (non-local means) or its last pixel repeated (median).
"""

from collections.abc import Iterator

import cv2
import numpy as np

from infer.shapes import Slices

FAST_SIDES = (3, 5)  # of OpenCV's median of float32; larger ones take a hundred times as long


def median(slices: Slices, *, side_px: int) -> Slices:
    """Each pixel becomes the median of a square around it, channel by channel."""
    if side_px not in FAST_SIDES:
        from scipy import ndimage  # a quarter of a second at start-up

        quiet: np.ndarray = ndimage.median_filter(
            slices, size=(1, 1, side_px, side_px), mode="nearest"
        )
        return quiet
    quiet = np.empty(slices.shape, np.float32)
    for source, target in _planes(slices, quiet):
        target[:] = cv2.medianBlur(source, side_px)
    return quiet


def non_local_means(slices: Slices, *, patch_px: int, search_px: int, strength: float) -> Slices:
    """Each pixel becomes a mean of those in `search_px` around it whose patches are like its own.

    `strength` is h: in the unit of the values, about the standard deviation of the noise.
    """
    quiet = np.empty(slices.shape, np.float32)
    for source, target in _planes(slices, quiet):
        target[:] = _means(source, patch_px // 2, search_px // 2, np.float32(-1 / strength**2))
    return quiet


def _planes(slices: Slices, quiet: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every channel of every slice, and where its result goes."""
    height, width = slices.shape[-2:]
    sources = (np.ascontiguousarray(it) for it in slices.reshape(-1, height, width))
    return zip(sources, quiet.reshape(-1, height, width), strict=True)


def _means(plane: np.ndarray, patch: int, search: int, factor: np.float32) -> np.ndarray:
    """Weighted means; `patch` and `search` are half sides."""
    height, width = plane.shape
    rim = search + patch
    wide = cv2.copyMakeBorder(plane, rim, rim, rim, rim, cv2.BORDER_REFLECT)
    total, weights = plane.copy(), np.ones_like(plane)
    for down, right in _half_of_displacements(search):
        weight = _alike(wide, (height, width), down, right, patch, search, factor)
        # A pair of pixels weighs the same from either side: each serves the pixel `down` and
        # `right` of it as well, which halves the work.
        for sign, row, column in ((1, down, max(right, 0)), (-1, 0, max(-right, 0))):
            own = weight[row : row + height, column : column + width]
            top, left = rim + sign * down, rim + sign * right
            weights += own
            total += own * wide[top : top + height, left : left + width]
    total /= weights
    return total


def _half_of_displacements(search: int) -> Iterator[tuple[int, int]]:
    """Every displacement (down, right) within the window, of opposite ones only one."""
    for down in range(search + 1):
        for right in range(-search if down else 1, search + 1):
            yield down, right


def _alike(
    wide: np.ndarray,
    size: tuple[int, int],
    down: int,
    right: int,
    patch: int,
    search: int,
    factor: np.float32,
) -> np.ndarray:
    """How much each pixel weighs for the one `down` and `right` of it.

    For every pixel of the slice, and for those outside whose partner lies in it.
    """
    top, left = search - down, search - max(right, 0)
    bottom, end = top + size[0] + down + 2 * patch, left + size[1] + abs(right) + 2 * patch
    one = wide[top:bottom, left:end]
    other = wide[top + down : bottom + down, left + right : end + right]
    difference = cv2.subtract(one, other)
    side = 2 * patch + 1
    squares = cv2.sqrBoxFilter(difference, cv2.CV_32F, (side, side))
    inside = squares[patch : squares.shape[0] - patch, patch : squares.shape[1] - patch]
    return np.asarray(cv2.exp(inside * factor))
