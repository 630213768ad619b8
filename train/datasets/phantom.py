"""Synthetic head-CT slices or volumes, made on the spot: the default study, which needs no data."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from infer.phantom import KINDS, Kind, brain_window, head, head_volume
from infer.writers.phantoms import write_nifti
from train.bounds import Seed
from train.datasets.case import Case, from_root

# Seeds of heads lie this far apart for neighbouring `seed`s, so that no two studies share a head.
SEED_STRIDE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomOptions:
    """How many heads to draw."""

    normals: int
    abnormals: int  # one lesion each, of every kind in turn
    size: tuple[int, ...]  # (height, width) of a slice, pixels; (depth, height, width): volumes
    seed: Seed

    def __post_init__(self) -> None:
        if not 0 <= self.normals + self.abnormals < SEED_STRIDE:
            raise ValueError(f"normals and abnormals must be less than {SEED_STRIDE} together")
        if len(self.size) not in (2, 3):
            raise ValueError(f"size must have two sides, or three, got {list(self.size)}")
        if min(self.size[-2:]) < 32 or self.size[0] < 2:
            raise ValueError(
                f"size must be at least 32 × 32 pixels, and two slices, got {list(self.size)}"
            )


def phantom_cases(source: Path, options: PhantomOptions, out: Path) -> list[Case]:
    """Draw one slice of each head into `out`, as pictures exported with the brain window.

    Or each head as a NIfTI volume in HU, where `size` has three sides.

    Masks go beside it, into masks/: a folder of scans holds nothing else.
    `source` is not read: it is the generator, named for what a change of it re-runs.
    """
    for folder in (out, _masks(out)):
        folder.mkdir(parents=True)
    first = options.seed * SEED_STRIDE
    normals = [_case(out, f"normal_{at:04}", first + at, options) for at in range(options.normals)]
    first += options.normals
    return normals + [
        _case(out, f"{KINDS[at % len(KINDS)]}_{at:04}", first + at, options)
        for at in range(options.abnormals)
    ]


def _case(out: Path, name: str, seed: int, options: PhantomOptions) -> Case:
    lesions = [kind for kind in KINDS if name.startswith(kind)]
    write, ending = (_write_volume, "nii.gz") if len(options.size) == 3 else (_write_slice, "png")
    scan, mask = out / f"{name}.{ending}", _masks(out) / f"{name}.{ending}"
    write(scan, mask, seed, options.size, lesions)
    return Case(
        scan=from_root(scan),
        group=name,
        normal=not lesions,
        mask=from_root(mask) if lesions else None,
    )


def _write_slice(
    scan: Path, mask: Path, seed: int, size: tuple[int, ...], lesions: list[Kind]
) -> None:
    phantom = head(seed, size=(size[0], size[1]), lesions=lesions)
    _write_png(scan, brain_window(phantom.voxels_hu))
    if lesions:
        _write_png(mask, phantom.mask.astype(np.uint8) * 255)


def _write_volume(
    scan: Path, mask: Path, seed: int, size: tuple[int, ...], lesions: list[Kind]
) -> None:
    phantom = head_volume(seed, shape=(size[0], size[1], size[2]), lesions=lesions)
    write_nifti(scan, np.round(phantom.voxels_hu).astype(np.int16), phantom.spacing_mm)
    if lesions:
        write_nifti(mask, phantom.mask.astype(np.uint8), phantom.spacing_mm)


def _masks(out: Path) -> Path:
    return out.with_name("masks")


def _write_png(path: Path, picture: np.ndarray) -> None:
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"cannot write {path}")
