"""A folder of synthetic scans: pictures and volumes, healthy and not, and the truth about them."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from infer.errors import BadOutputError
from infer.phantom import KINDS, Kind, brain_window, head, head_volume

# Every second scan has a lesion; of so many in a row, the last two are volumes.
ROUND = 8
VOLUME_SHAPE = (26, 224, 192)  # depth, height, width: 5 × 0.9 × 0.9 mm
PICTURE_SIZES = ((144, 120), (168, 140), (192, 160))
# A seed here draws heads that no default study has trained on.
FIRST_HEAD = 900_000_000
HEADS_PER_SEED = 10_000


class Truth(NamedTuple):
    """One row of truth.csv."""

    scan: str
    anomalous: int
    kind: str  # of the lesion; empty where there is none
    lesion_voxels: int
    mask: str  # relative to the folder; empty where there is none


def write_phantoms(out: Path, *, scans: int, seed: int) -> str:
    """Write `scans` scans under `out`, masks and truth.csv beside it, and say so.

    Masks and table stay out of the folder: all that is in it are scans to be scored.

    Raises:
        BadOutputError: `out` holds something already, or `scans` are too many or none.
    """
    if not 0 < scans <= HEADS_PER_SEED:
        raise BadOutputError(f"scans must be 1 to {HEADS_PER_SEED}, got {scans}")
    truth = out.with_name(f"{out.name}-truth")
    for folder in (out, truth):
        if folder.exists() and any(folder.iterdir()):
            raise BadOutputError(f"{folder} is not empty", hint="name another, or remove it")
        folder.mkdir(parents=True, exist_ok=True)
    first = FIRST_HEAD + seed * HEADS_PER_SEED
    rows = [_write_one(out, truth, at, first + at) for at in range(scans)]
    with (truth / "truth.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Truth._fields)
        writer.writerows(rows)
    anomalous = sum(row.anomalous for row in rows)
    return f"{out}: {scans} scans, {anomalous} of them with a lesion; the truth is in {truth}"


def _write_one(out: Path, truth: Path, at: int, seed: int) -> Truth:
    lesions: tuple[Kind, ...] = (KINDS[at // 2 % len(KINDS)],) if at % 2 else ()
    if at % ROUND >= ROUND - 2:
        name = f"head_{at:04}.nii.gz"
        phantom = head_volume(seed, shape=VOLUME_SHAPE, lesions=lesions)
        voxels = np.round(phantom.voxels_hu).astype(np.int16)
        write_nifti(out / name, voxels, phantom.spacing_mm)
        if lesions:
            write_nifti(truth / name, phantom.mask.astype(np.uint8), phantom.spacing_mm)
    else:
        name = f"head_{at:04}.png"
        phantom = head(seed, size=PICTURE_SIZES[at % len(PICTURE_SIZES)], lesions=lesions)
        _write_png(out / name, brain_window(phantom.voxels_hu))
        if lesions:
            _write_png(truth / name, phantom.mask.astype(np.uint8) * 255)
    found = int(phantom.mask.sum())
    return Truth(name, len(lesions), " ".join(lesions), found, name if lesions else "")


def _write_png(path: Path, picture: np.ndarray) -> None:
    if not cv2.imwrite(str(path), picture):
        raise BadOutputError(f"cannot write {path}")


def write_nifti(path: Path, voxels: np.ndarray, spacing_mm: Sequence[float]) -> None:
    """Stored as scanners' files often are, in L, P, S turned to L, A, S: not our own order."""
    import nibabel  # a quarter of a second at start-up, and `prepare` asks this file for little

    stored = voxels.transpose(2, 1, 0)[:, ::-1]
    image = nibabel.Nifti1Image(  # type: ignore[no-untyped-call]
        stored, _affine(stored.shape, spacing_mm[::-1])
    )
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    nibabel.save(image, path)


def _affine(shape: Sequence[int], spacing_mm: Sequence[float]) -> np.ndarray:
    """From voxel (towards L, A, S) to mm (towards R, A, S), zero in the middle of the head."""
    affine = np.diag([-spacing_mm[0], *spacing_mm[1:], 1.0])
    middle = (np.array(shape) - 1) / 2
    affine[:3, 3] = -affine[:3, :3] @ middle
    return affine
