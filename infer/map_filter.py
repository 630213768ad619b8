"""What happens to a map before its threshold: foreground, median, gaussian, erosion, prior.

The prior may come before the filters: see `Postprocessing`.

A residual is strongest where a network is least able: in single voxels, along the rim of the brain,
in tissue that no lesion looks like. The median takes away the first, erosion the second, the prior
the third. What is taken away becomes 0. Thresholds are chosen on maps to which this has been done.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from infer.masking import FilterAxes, Postprocessing
from infer.noise import median
from infer.shapes import AnomalyMap, Foreground, Voxels
from infer.slicing import Plane, from_slices, to_slices

QUARTILES = (0.25, 0.75)


def filtered(
    anomaly_map: AnomalyMap,
    foreground: Foreground | None,
    voxels: Voxels,
    postprocessing: Postprocessing,
    plane: Plane,
) -> AnomalyMap:
    """The map to threshold; the argument is left as it is.

    Args:
        foreground: where the map is kept; None: everywhere.
        voxels: the scan, for the prior; the mean of its channels counts.
    """
    kept = anomaly_map if foreground is None else _only(anomaly_map, foreground)
    if postprocessing.prior != "none" and postprocessing.prior_first:
        kept = kept * _prior(voxels, foreground, postprocessing)
    if postprocessing.median != "none":
        side = postprocessing.median_px
        in_slices = _in_slices(postprocessing.median, kept)
        kept = _slice_median(kept, side, plane) if in_slices else _volume_median(kept, side)
    if postprocessing.gaussian != "none":
        kept = _gaussian(
            kept, postprocessing.gaussian_px, _in_slices(postprocessing.gaussian, kept), plane
        )
    if foreground is not None:
        # Of nothing eroded too: filters draw the map a little beyond the foreground.
        kept = _only(kept, _eroded(foreground, postprocessing.erosion_radius_px, plane))
    if postprocessing.prior != "none" and not postprocessing.prior_first:
        kept = kept * _prior(voxels, foreground, postprocessing)
    return kept


def _only(anomaly_map: AnomalyMap, where: Foreground) -> np.ndarray:
    return np.where(where, anomaly_map, np.float32(0))


def _slice_median(anomaly_map: AnomalyMap, side: int, plane: Plane) -> np.ndarray:
    quiet = median(to_slices(anomaly_map[np.newaxis], plane), side_px=side)
    return from_slices(quiet[:, 0], plane, spatial=anomaly_map.shape)


def _volume_median(anomaly_map: AnomalyMap, side: int) -> np.ndarray:
    """The median of a cube around each voxel; at the volume's faces, its last voxels repeated.

    Where there is nothing for half a cube around there is nothing after it: only the box around
    all else is looked at.
    """
    from scipy import ndimage  # a quarter of a second at start-up

    box = _box(anomaly_map != 0, margin=side // 2)
    quiet = np.zeros(anomaly_map.shape, np.float32)
    quiet[box] = ndimage.median_filter(anomaly_map[box], size=side, mode="nearest")
    return quiet


def _in_slices(axes: FilterAxes, anomaly_map: AnomalyMap) -> bool:
    """Of a picture there are no others."""
    return axes == "slices" or anomaly_map.ndim == 2


def _gaussian(
    anomaly_map: AnomalyMap, deviation: float, in_slices: bool, plane: Plane
) -> np.ndarray:
    """Weighted means of what is around each voxel; at the faces, the last voxels repeated."""
    from scipy import ndimage

    if not in_slices:
        return np.asarray(ndimage.gaussian_filter(anomaly_map, deviation, mode="nearest"))
    slices = to_slices(anomaly_map[np.newaxis], plane)[:, 0]
    smooth = ndimage.gaussian_filter(slices, deviation, mode="nearest", axes=(1, 2))
    return from_slices(np.asarray(smooth), plane, spatial=anomaly_map.shape)


def _box(mask: np.ndarray, *, margin: int) -> tuple[slice, ...]:
    """What bounds a mask and, as far as there is any, a margin around it."""
    bounds = []
    for axis in range(mask.ndim):
        along = np.flatnonzero(mask.any(axis=_others(axis, mask.ndim)))
        if not len(along):
            return (slice(0, 0),) * mask.ndim
        bounds.append(slice(max(0, int(along[0]) - margin), int(along[-1]) + margin + 1))
    return tuple(bounds)


def _others(axis: int, count: int) -> tuple[int, ...]:
    return tuple(it for it in range(count) if it != axis)


def _eroded(foreground: Foreground, radius: int, plane: Plane) -> Foreground:
    """Without what lies within `radius` of what is outside, in each slice.

    A slice's edge is no border: what lies beyond was not looked at.
    """
    if radius == 0:
        return foreground
    slices = to_slices(foreground[np.newaxis], plane)[:, 0]
    kept = np.zeros(slices.shape, bool)
    for source, target in zip(slices, kept, strict=True):
        inside = np.ascontiguousarray(source).view(np.uint8)
        target[:] = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > radius
    return from_slices(kept, plane, spatial=foreground.shape)


def _prior(voxels: Voxels, foreground: Foreground | None, how: Postprocessing) -> np.ndarray:
    """What the map is multiplied by."""
    grey = voxels[0] if len(voxels) == 1 else voxels.mean(axis=0)
    if how.prior.startswith("dark"):
        grey = -grey
    among = grey if foreground is None else grey[foreground]
    if not among.size:
        return np.zeros(grey.shape, np.float32)
    limit, low, high = np.quantile(among, (1 - how.prior_share, *QUARTILES))
    if how.prior.endswith("ramp"):
        return _ramp(grey, float(limit), (float(high - low), float(np.ptp(among))))
    return np.asarray(grey >= np.float32(limit), np.float32)


def _ramp(grey: np.ndarray, limit: float, spreads: Sequence[float]) -> np.ndarray:
    """How far beyond the limit, in the first of the spreads that is one."""
    spread = next((it for it in spreads if it > 0), 1.0)
    above = (grey - np.float32(limit)) / np.float32(spread)
    return np.asarray(np.maximum(above, np.float32(0)))
