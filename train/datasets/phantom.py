"""Synthetic head-CT slices, made on the spot: the default study, which needs no data."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from infer.phantom import KINDS, brain_window, head
from train.datasets.case import Case, from_root

# Seeds of heads lie this far apart for neighbouring `seed`s, so that no two studies share a head.
SEED_STRIDE = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomOptions:
    """How many heads to draw."""

    normals: int
    abnormals: int  # one lesion each, of every kind in turn
    size: tuple[int, int]  # (height, width) of a slice, pixels
    seed: int

    def __post_init__(self) -> None:
        if not 0 <= self.normals + self.abnormals < SEED_STRIDE:
            raise ValueError(f"normals and abnormals must be less than {SEED_STRIDE} together")
        if min(self.size) < 32:
            raise ValueError(f"size must be at least 32 × 32 pixels, got {list(self.size)}")


def phantom_cases(source: Path, options: PhantomOptions, out: Path) -> list[Case]:
    """Draw one slice of each head into `out`, as pictures exported with the brain window.

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
    phantom = head(seed, size=options.size, lesions=lesions)
    scan, mask = out / f"{name}.png", _masks(out) / f"{name}.png"
    _write_png(scan, brain_window(phantom.voxels_hu))
    if lesions:
        _write_png(mask, phantom.mask.astype(np.uint8) * 255)
    return Case(
        scan=from_root(scan),
        group=name,
        normal=not lesions,
        mask=from_root(mask) if lesions else None,
    )


def _masks(out: Path) -> Path:
    return out.with_name("masks")


def _write_png(path: Path, picture: np.ndarray) -> None:
    if not cv2.imwrite(str(path), picture):
        raise OSError(f"cannot write {path}")
