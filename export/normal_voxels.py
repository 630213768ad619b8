"""Map values where validation scans are normal: what a share of may lie above a threshold.

`scans`: every voxel of the normal scans. `slices`: also those slices of abnormal scans in which the
truth marks nothing, for data in which no scan is normal, such as BraTS. They lie where no lesion
does, mostly at the top and the bottom of the head: a bias to state beside every number.

Where postprocessing names a foreground, only its voxels count: most of a stripped scan is nothing
at all, and 1 % of everything would be 5 % of the brain.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np

from export.scan_scores import ScoredScan

NormalOf = Literal["scans", "slices"]

# Evenly spaced over each map: 1 % of so many is known to some thousandths, and memory is bounded.
PIXELS_PER_SCAN = 100_000


class NormalVoxels:
    """Those of scans that pass by."""

    def __init__(self, normal_of: NormalOf) -> None:
        self.normal_of = normal_of
        self.values: list[np.ndarray] = []

    def add(self, scored: ScoredScan) -> None:
        """Keep up to `PIXELS_PER_SCAN` values."""
        values = normal_values(scored, self.normal_of)
        if len(values):
            self.values.append(values)

    def of(self, scans: Iterable[ScoredScan]) -> Iterator[ScoredScan]:
        """The same scans, each looked at before it is handed on."""
        for scored in scans:
            self.add(scored)
            yield scored


def normal_slices(scored: ScoredScan, normal_of: NormalOf) -> np.ndarray:
    """Which of a scan's slices count as normal."""
    abnormal = scored.abnormal_slices
    if scored.case.normal:
        return np.ones(scored.slice_count, bool)
    if normal_of == "scans" or abnormal is None:
        return np.zeros(scored.slice_count, bool)
    return np.asarray(~abnormal & scored.foreground_slices)


def normal_values(scored: ScoredScan, normal_of: NormalOf) -> np.ndarray:
    """Values of the map in normal slices, up to `PIXELS_PER_SCAN`, evenly spaced."""
    finding, normal = scored.finding, normal_slices(scored, normal_of)
    if not normal.any():
        return np.empty(0, np.float32)
    # Not the whole map: in slices that are not looked at it is 0, which is nobody's normal value.
    values = scored.sliced(finding.anomaly_map)
    inside = None if finding.foreground is None else scored.sliced(finding.foreground)
    if not normal.all():
        values = values[normal]
        inside = None if inside is None else inside[normal]
    flat = values.reshape(-1) if inside is None else values[inside]
    step = max(1, math.ceil(flat.size / PIXELS_PER_SCAN))
    while step > 1 and math.gcd(step, values.shape[-1]) > 1:  # else, always the same few columns
        step += 1
    return flat[::step].copy()  # a view would keep the whole map
