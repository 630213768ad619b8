"""Anomaly map → mask: threshold, closing, small components, lesions."""

from dataclasses import dataclass

import cv2
import numpy as np

from infer.shapes import AnomalyMap, Mask
from infer.slicing import Plane, from_slices, to_slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Postprocessing:
    """What happens to a thresholded map. Sizes are those of the scan's own grid."""

    closing_radius_px: int  # in each slice; 0: no closing
    smallest_lesion_px: int  # smaller components are dropped; voxels for volumes


def mask_above(
    anomaly_map: AnomalyMap, threshold: float, postprocessing: Postprocessing, plane: Plane
) -> Mask:
    """Voxels above `threshold`, closed in each slice, without components that are too small.

    Voxels that touch by a face, an edge or a corner are one component (8 neighbours in a
    picture, 26 in a volume): a lesion cut obliquely must not fall apart.
    """
    mask = anomaly_map > np.float32(threshold)
    if not mask.any():
        return mask
    if postprocessing.closing_radius_px > 0:
        mask = _close(mask, postprocessing.closing_radius_px, plane)
    if postprocessing.smallest_lesion_px > 1:
        mask = _drop_small(mask, at_least=postprocessing.smallest_lesion_px)
    return mask


def count_lesions(mask: Mask) -> int:
    """Number of components (8 neighbours in a picture, 26 in a volume)."""
    return _components(mask)[1] if mask.any() else 0


def peak(anomaly_map: AnomalyMap) -> tuple[tuple[int, ...], float]:
    """Where the map is highest, and how high; the first such voxel if there are several."""
    index = np.unravel_index(int(np.argmax(anomaly_map)), anomaly_map.shape)
    return tuple(int(at) for at in index), float(anomaly_map[index])


def _close(mask: Mask, radius: int, plane: Plane) -> Mask:
    """Fill gaps narrower than a disc. The border is padded, or lesions would grow to reach it."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    slices = to_slices(mask[np.newaxis], plane)[:, 0]
    closed = np.zeros(slices.shape, bool)
    for source, target in zip(slices, closed, strict=True):
        if source.any():
            padded = np.pad(source.view(np.uint8), radius)
            whole = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc)
            target[...] = whole[radius:-radius, radius:-radius]
    return from_slices(closed, plane, spatial=mask.shape)


def _drop_small(mask: Mask, *, at_least: int) -> Mask:
    if mask.ndim == 2:
        return _drop_small_in_picture(mask, at_least)
    labels, _ = _components(mask)
    kept = np.bincount(labels.ravel()) >= at_least
    kept[0] = False  # the background
    return np.asarray(kept[labels])


def _drop_small_in_picture(mask: Mask, at_least: int) -> Mask:
    # Sizes are counted where the mask is, not over the whole picture: several times faster.
    left, top, width, height = cv2.boundingRect(_as_picture(mask))
    box = slice(top, top + height), slice(left, left + width)
    labels, count = _components(mask[box])
    kept = np.bincount(labels[mask[box]], minlength=count + 1) >= at_least
    if kept[1:].all():
        return mask
    mask = mask.copy()
    mask[box] &= kept[labels]
    return mask


def _components(mask: Mask) -> tuple[np.ndarray, int]:
    """Component number of each voxel (0: background), and the number of components."""
    if mask.ndim == 2:
        count, labels = cv2.connectedComponents(_as_picture(mask), connectivity=8)
        return labels, count - 1
    from scipy import ndimage  # pictures need none of it: a quarter of a second at start-up

    labels, count = ndimage.label(mask, structure=np.ones((3,) * mask.ndim))
    return labels, count


def _as_picture(mask: Mask) -> np.ndarray:
    return np.ascontiguousarray(mask).view(np.uint8)
