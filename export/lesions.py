"""Lesion by lesion: which components of the truth a mask finds, and which of its own are false.

Voxels that share a face, an edge or a corner are one component: 8 neighbours in a picture, 26 in a
volume, as in `infer.masking`.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from infer.shapes import Mask


class Lesion(NamedTuple):
    """One component of the truth."""

    voxels: int
    covered: int  # of them, by the mask


class Matched(NamedTuple):
    """A mask beside the truth."""

    lesions: tuple[Lesion, ...]
    false: tuple[int, ...]  # voxels of each component of the mask in which nothing is true


def match(mask: Mask, truth: Mask) -> Matched:
    """Count both sides' components; only the box around them is looked at."""
    box = _box(mask | truth)
    mask, truth = mask[box], truth[box]
    structure = np.ones((3,) * mask.ndim, bool)
    true_label, lesions = ndimage.label(truth, structure)
    mask_label, components = ndimage.label(mask, structure)
    voxels = np.bincount(true_label[truth], minlength=lesions + 1)[1:]
    covered = np.bincount(true_label[truth & mask], minlength=lesions + 1)[1:]
    sizes = np.bincount(mask_label[mask], minlength=components + 1)[1:]
    right = np.bincount(mask_label[truth & mask], minlength=components + 1)[1:]
    pairs = zip(voxels.tolist(), covered.tolist(), strict=True)
    return Matched(
        lesions=tuple(Lesion(*pair) for pair in pairs),
        false=tuple(int(size) for size in sizes[right == 0]),
    )


def _box(mask: Mask) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.uint8))
    return found[0] if found else (slice(0, 0),) * mask.ndim
