"""ROC, precision over recall and Dice over threshold, of the voxels of all test scans together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from train.metrics import ScanPixels, lowest_values, pooled_pixels

POINTS = 400  # of what is drawn and kept


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxelCurves:
    """By falling threshold: what a mask of all voxels at or above it would be worth."""

    threshold: np.ndarray
    true_positive_rate: np.ndarray
    false_positive_rate: np.ndarray
    precision: np.ndarray
    dice: np.ndarray


def voxel_curves(scans: Sequence[ScanPixels]) -> VoxelCurves | None:
    """None where no voxel is abnormal, or none normal."""
    if not scans:
        return None
    pooled = pooled_pixels(scans)
    abnormal, normal = pooled.abnormal, pooled.normal
    if not (abnormal.any() and normal.any()):
        return None
    true, false = np.cumsum(abnormal[::-1]), np.cumsum(normal[::-1])
    chosen = _spread(true / true[-1], false / false[-1])
    all_true = true[-1]
    true, false = true[chosen], false[chosen]
    return VoxelCurves(
        threshold=lowest_values(pooled.bins)[::-1][chosen],
        true_positive_rate=true / all_true,
        false_positive_rate=false / (normal.sum()),
        precision=true / (true + false),
        dice=2 * true / (true + false + all_true),
    )


def _spread(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    """Up to about `POINTS` places, evenly spaced along the ROC curve, the ends among them."""
    along = true + false  # from above 0 to 2
    at = np.searchsorted(along, np.linspace(0, along[-1], POINTS))
    return np.unique([*at, 0, len(along) - 1])
