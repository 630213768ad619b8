"""What of a scan is normal: all of a normal one; of one with lesions, what its mask leaves.

Where every validation scan has lesions, as in a study of patients, thresholds are still chosen on
normal tissue alone: the map's on the voxels outside the lesions, in slices with a lesion and in
those without; the score's on what a scan would score if its lesion-free slices were all of it. The
latter are fewer slices, and often the ends of the head: a scan's highest slices are taken of fewer,
so that such a threshold is rather too low than too high.
"""

from dataclasses import dataclass

import numpy as np

from export.scan_scores import ScoredScan
from infer.scoring import Aggregation, scan_score
from infer.shapes import Images
from infer.slicing import to_slices


@dataclass(frozen=True, slots=True, kw_only=True)
class NormalPart:
    """The normal part of a scan; slices that were not looked at belong to none."""

    score: float  # what the scan would score by its normal slices alone
    pixels: np.ndarray  # of the map
    images: Images  # what the network saw of the normal slices


def normal_part(scored: ScoredScan, aggregation: Aggregation) -> NormalPart | None:
    """The normal part of a scan; None where a lesion reaches all of it, or may be anywhere."""
    finding = scored.finding
    maps, lesions = (
        to_slices(it[np.newaxis], scored.plane)[:, 0]
        for it in (finding.anomaly_map, _truth(scored))
    )
    if scored.slices is not None:
        looked = slice(scored.slices.start, scored.slices.stop)
        maps, lesions = maps[looked], lesions[looked]
    if scored.case.normal:
        return NormalPart(score=finding.score, pixels=maps.reshape(-1), images=finding.images)
    free = np.logical_not(lesions.any(axis=(1, 2)))
    # A model of whole volumes has one score for all slices: there is none of some of them.
    if scored.truth is None or not free.any() or len(free) != len(finding.slice_scores):
        return None
    return NormalPart(
        score=scan_score(finding.slice_scores[free], aggregation),
        pixels=maps[np.logical_not(lesions)],
        images=finding.images[free],
    )


def _truth(scored: ScoredScan) -> np.ndarray:
    return np.zeros_like(scored.finding.mask) if scored.truth is None else scored.truth
