"""Where a scan is abnormal, as the masks that users bring say it; what is ambiguous is refused.

A mask that is taken for another is not seen in any number: the wrong side of a head counts as
lesion, or a lesion trains.
"""

import math
from pathlib import Path

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.readers.choice import Choice
from infer.shapes import Mask
from infer.volume import Volume, same_place
from train.datasets.case import Case

LOSSY = (".jpg", ".jpeg")


def truth_of(case: Case, volume: Volume, choice: Choice) -> Mask | None:
    """Where a scan is abnormal `(*spatial)`, as far as its dataset knows.

    Raises:
        UnreadableScanError: as `truth`; or it is normal, and its mask marks something.
    """
    if case.mask is None:
        return np.zeros(volume.voxels.shape[1:], bool) if case.normal else None
    marked = truth(case.mask, volume, choice)
    if case.normal and marked.any():
        raise UnreadableScanError(
            f"it is normal, but its mask {case.mask} marks {np.count_nonzero(marked)} voxels",
            hint="label it abnormal, or leave its mask out",
        )
    return marked


def truth(path: Path, volume: Volume, choice: Choice) -> Mask:
    """Where the mask at `path` says that a scan is abnormal: where it is not 0.

    Raises:
        UnreadableScanError: it cannot be read, does not lie on the scan's voxels, or cannot mean
            what it would be taken for.
    """
    if path.suffix.lower() in LOSSY:
        raise UnreadableScanError(
            f"its mask {path} is a JPEG file, which changes values around what it marks",
            hint="export it as PNG from the program that it was drawn in",
        )
    mask = read(path, choice)
    _refuse_several(path, mask)
    if mask.voxels.shape[1:] != volume.voxels.shape[1:]:
        raise UnreadableScanError(f"its mask {path} is not of the scan's size")
    _refuse_elsewhere(path, mask, volume)
    marked: Mask = (mask.voxels != 0).any(axis=0)
    if marked.all():
        raise UnreadableScanError(
            f"its mask {path} marks all of it",
            hint="a mask is 0 where nothing is abnormal; what it has in transparency is not seen",
        )
    return marked


def _refuse_several(path: Path, mask: Volume) -> None:
    """One for each class, say: only the first would be seen, and that may be the background's."""
    header = mask.grid.header
    if header is not None and (count := math.prod(header.get_data_shape()[3:])) > 1:
        raise UnreadableScanError(
            f"its mask {path} holds {count} volumes",
            hint="save one volume, which is not 0 where the scan is abnormal",
        )


def _refuse_elsewhere(path: Path, mask: Volume, volume: Volume) -> None:
    if not same_place(mask.grid, volume.grid):
        raise UnreadableScanError(
            f"its mask {path} lies elsewhere in the patient, or has voxels of another size",
            hint="resample it onto the scan, or, if its header is wrong, give it the scan's affine",
        )
    mask_is_placed, scan_is_placed = (it.grid.header is not None for it in (mask, volume))
    if mask_is_placed != scan_is_placed:
        which = "the mask" if scan_is_placed else "the scan"
        raise UnreadableScanError(
            f"its mask {path} cannot be laid over it: {which} does not say how its axes run in the "
            "patient, and the other does",
            hint="save both as NIfTI, with one affine",
        )
