"""Anomaly map → mask: threshold, closing, small components, lesions."""

import math
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import cv2
import numpy as np

from infer.components import large_components
from infer.foreground import ForegroundRecipe
from infer.shapes import AnomalyMap, Mask
from infer.slicing import Plane, from_slices, to_slices

FilterAxes = Literal["none", "slices", "volume"]
# `bright`, `dark`: the map is kept in the brightest (darkest) `prior_share` of the foreground.
# `bright_ramp`, `dark_ramp`: it is multiplied by how far a voxel lies beyond that limit, in
# interquartile ranges of the foreground.
Prior = Literal["none", "bright", "dark", "bright_ramp", "dark_ramp"]

# A model file that asks for more would have one slice take hours.
LARGEST_RADIUS_PX = 64
LARGEST_MEDIAN_PX = 15
LARGEST_GAUSSIAN_PX = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Postprocessing:
    """What happens to a map before and after its threshold. Sizes are those of the scan's own grid.

    Before (`infer.map_filter`), in this order: foreground, median, gaussian, erosion, prior,
    or, with `prior_first`, foreground, prior, median, gaussian, erosion. After: closing, smallest
    lesion. Files of before schema 4 name the last two only: the others are off.
    """

    closing_radius_px: int  # in each slice; 0: no closing
    smallest_lesion_px: int  # smaller components are dropped; voxels for volumes
    foreground: ForegroundRecipe = "none"
    median: FilterAxes = "none"
    median_px: int = 3  # side of the square or cube
    erosion_radius_px: int = 0  # in each slice: the map is 0 this near to the foreground's border
    prior: Prior = "none"
    prior_share: float = 0.5  # of the foreground
    # Weighed before the median: it then takes away the noise of the scan as well as that of the
    # map, and a prior of brightness changes no order of a map that is brightness itself. Before
    # schema 6: False.
    prior_first: bool = False
    # Unlike the median, it lets what is strong in a few voxels count for those around them. Before
    # schema 7: none.
    gaussian: FilterAxes = "none"
    gaussian_px: float = 1.0  # standard deviation, along each axis

    def __post_init__(self) -> None:
        for name in ("closing_radius_px", "erosion_radius_px"):
            radius = getattr(self, name)
            if not 0 <= radius <= LARGEST_RADIUS_PX:
                raise ValueError(f"{name} must be from 0 to {LARGEST_RADIUS_PX}, got {radius}")
        if not 3 <= self.median_px <= LARGEST_MEDIAN_PX or self.median_px % 2 == 0:
            raise ValueError(
                f"median_px must be odd, from 3 to {LARGEST_MEDIAN_PX}, got {self.median_px}"
            )
        if not 0 < self.gaussian_px <= LARGEST_GAUSSIAN_PX:
            raise ValueError(
                f"gaussian_px must be above 0 and at most {LARGEST_GAUSSIAN_PX:g}, "
                f"got {self.gaussian_px}"
            )
        if not 0 < self.prior_share < 1:
            raise ValueError(f"prior_share must lie between 0 and 1, got {self.prior_share}")
        if self.erosion_radius_px and self.foreground == "none":
            raise ValueError("erosion_radius_px needs a foreground, but foreground is none")
        if self.smallest_lesion_px < 0:
            raise ValueError(
                f"smallest_lesion_px must be at least 0, got {self.smallest_lesion_px}"
            )

    @property
    def acts_on_map(self) -> bool:
        """Whether anything is done before the threshold."""
        steps = (self.foreground, self.median, self.gaussian, self.prior)
        return any(step != "none" for step in steps)

    def alike_before_threshold(self, other: "Postprocessing") -> bool:
        """Whether both leave the same map to be thresholded."""
        cleaning = (other.closing_radius_px, other.smallest_lesion_px)
        return replace(self, closing_radius_px=cleaning[0], smallest_lesion_px=cleaning[1]) == other


class Lesions(NamedTuple):
    """What is anomalous of a scan."""

    mask: Mask
    components: int


def lesions_above(
    anomaly_map: AnomalyMap, threshold: float, postprocessing: Postprocessing, plane: Plane
) -> Lesions:
    """Voxels above `threshold`, closed in each slice, without components that are too small.

    Voxels that touch by a face, an edge or a corner are one component (8 neighbours in a
    picture, 26 in a volume): a lesion cut obliquely must not fall apart.
    """
    return lesions_in(anomaly_map > np.float32(threshold), postprocessing, plane)


def lesions_in(mask: Mask, postprocessing: Postprocessing, plane: Plane) -> Lesions:
    """The same for voxels that have been found above a threshold already."""
    if not mask.any():
        return Lesions(mask, 0)
    if postprocessing.closing_radius_px > 0:
        mask = _close(mask, postprocessing.closing_radius_px, plane)
    return _without_small(mask, at_least=postprocessing.smallest_lesion_px)


def peak(anomaly_map: AnomalyMap) -> tuple[tuple[int, ...], float]:
    """Where the map is highest, and how high; the first such voxel if there are several."""
    index = np.unravel_index(int(np.argmax(anomaly_map)), anomaly_map.shape)
    return tuple(int(at) for at in index), float(anomaly_map[index])


class Thresholded(NamedTuple):
    """A map's voxels above a threshold, and its `peak`."""

    above: Mask
    peak: tuple[int, ...]
    peak_value: float


def thresholded(anomaly_map: AnomalyMap, threshold: float) -> Thresholded:
    """Both of a map, slice by slice where its slices lie in one piece: each is fetched once."""
    limit = np.float32(threshold)
    if anomaly_map.ndim < 3 or not anomaly_map.flags.c_contiguous:
        return Thresholded(anomaly_map > limit, *peak(anomaly_map))
    above = np.empty(anomaly_map.shape, bool)
    highest = np.empty(len(anomaly_map), np.float32)
    for at, each in enumerate(anomaly_map):
        np.greater(each, limit, out=above[at])
        highest[at] = each.max()
    worst = int(np.argmax(highest))
    within, peak_value = peak(anomaly_map[worst])
    return Thresholded(above, (worst, *within), peak_value)


def _close(mask: Mask, radius: int, plane: Plane) -> Mask:
    """Fill gaps narrower than a disc. The border is padded, or lesions would grow to reach it."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    slices = to_slices(mask[np.newaxis], plane)[:, 0]
    closed = np.zeros(slices.shape, bool)
    for source, target in zip(slices, closed, strict=True):
        # Closing by a convex shape adds nothing beyond what bounds the lesions.
        box = _bounds(source)
        inside = np.ascontiguousarray(source[box]).view(np.uint8)
        padded = cv2.copyMakeBorder(inside, radius, radius, radius, radius, cv2.BORDER_CONSTANT)
        whole = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)
        target[box] = whole[radius:-radius, radius:-radius]
    return from_slices(closed, plane, spatial=mask.shape)


def _without_small(mask: Mask, *, at_least: int) -> Lesions:
    """Sizes are counted where the mask is, not over the whole scan: several times faster."""
    if mask.ndim > 2:
        return Lesions(*large_components(mask, at_least=at_least))
    box = _bounds(mask)
    inside = np.array(mask[box], order="C")
    labels, count = _components(inside)
    at = np.flatnonzero(inside)
    label_at = labels.reshape(-1)[at]
    small = np.bincount(label_at, minlength=count + 1) < at_least
    inside.reshape(-1)[at[small[label_at]]] = False
    kept = np.zeros(mask.shape, bool)
    kept[box] = inside
    return Lesions(kept, count - int(small[1:].sum()))


def _bounds(mask: Mask) -> tuple[slice, slice]:
    """The rows and columns of a picture between which all of its mask lies."""
    left, top, width, height = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return slice(top, top + height), slice(left, left + width)


def _components(mask: Mask) -> tuple[np.ndarray, int]:
    """Component number of each pixel (0: background), and the number of components."""
    # No more than one component in four pixels: 16 bits often suffice, and are written faster.
    most = math.prod((side + 1) // 2 for side in mask.shape)
    kind = cv2.CV_16U if most < np.iinfo(np.uint16).max else cv2.CV_32S
    picture = mask.view(np.uint8)
    count, labels = cv2.connectedComponentsWithAlgorithm(picture, 8, kind, cv2.CCL_WU)
    return labels, count - 1
