"""Does a scan's size tell its label? What a network may have learned that is no anatomy.

Scans of two scanners, or of two exports, often come in two sizes, and each may hold one class: then
width alone parts them, and so may whatever resizing makes of it. Sizes are read from headers.
"""

from collections.abc import Iterable

import numpy as np
from sklearn.metrics import roc_auc_score

from infer.readers.choice import USUAL
from infer.readers.reading import claim_of, is_one_slice
from infer.readers.source import Source
from train.datasets.case import Case

TELLING = 0.6  # AUROC from which on the size of scans is more than an accident of sampling


def size_areas(cases: Iterable[Case]) -> dict[str, float]:
    """AUROC of `width` and `height` alone, whichever way is better.

    Empty where there is a single class, or where a scan is a volume.

    Width is the last of a scan's stored sizes, height the one before.

    Raises:
        UnreadableScanError: the header of a scan cannot be read.
    """
    known = list(cases)
    abnormal = np.array([not case.normal for case in known], bool)
    sources = [Source(case.scan) for case in known]
    if abnormal.all() or not abnormal.any() or not all(map(is_one_slice, sources)):
        return {}
    sizes = np.array([claim_of(it, USUAL).shape for it in sources])
    areas = {}
    for name, values in (("width", sizes[:, 1]), ("height", sizes[:, 0])):
        area = float(roc_auc_score(abnormal, values))
        areas[name] = max(area, 1 - area)
    return areas


def in_words(areas: dict[str, float]) -> list[str]:
    """A sentence on what the size of a scan tells; none where there is nothing to tell."""
    if not areas:
        return []
    said = " and ".join(f"{name} alone {area:.3f}" for name, area in areas.items())
    if max(areas.values()) < TELLING:
        return [
            f"Larger or smaller scans are no more often abnormal: AUROC of {said}. (Were those of "
            "one size between others abnormal, this would not show it.)"
        ]
    return [
        f"**The size of a scan tells its label: AUROC of {said}.** What a model finds here may be "
        "the resizing: compare within one size."
    ]
