"""Counts of a test's voxels by map value, on disk: what figures over several tests are made of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from train.metrics import ScanPixels, merge_pixels, pixel_metrics, pooled_pixels


def save(path: Path, scans: Sequence[ScanPixels]) -> None:
    """Write the counts of all scans together; `path` ends in .npz."""
    pooled = pooled_pixels(scans)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        bins=pooled.bins,
        abnormal=pooled.abnormal,
        normal=pooled.normal,
        confusion=pooled.confusion,
    )


def load(path: Path) -> ScanPixels:
    """What `save` wrote."""
    with np.load(path, allow_pickle=False) as found:
        both, false, missed = (int(it) for it in found["confusion"])
        return ScanPixels(
            bins=found["bins"],
            abnormal=found["abnormal"],
            normal=found["normal"],
            confusion=(both, false, missed),
        )


def pooled_metrics(paths: Sequence[Path]) -> dict[str, float]:
    """Average precision, AUROC and Dice of the voxels of all these tests together.

    {} where a file is missing, or where no voxel is abnormal. Maps of different models are ranked
    as they are: their values must mean the same for that, as they do where one method made them.
    """
    if not paths or not all(path.exists() for path in paths):
        return {}
    found = pixel_metrics(merge_pixels([load(path) for path in paths]))
    names = {"voxel_ap": "pixel_ap", "voxel_auroc": "pixel_auroc", "dice": "dice"}
    return {f"pooled_{name}": found[it] for name, it in names.items() if it in found}
