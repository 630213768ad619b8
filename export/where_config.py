"""What a study wants to know of where anomalies are, and how it classes lesions by size."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class WhereConfig:
    """The block `where`: what is measured of the place of anomalies, beyond the usual."""

    ablate_postprocessing: bool
    lesion_sizes_ml: tuple[float, ...]  # rising: where one class of volumes' lesions ends
    lesion_sizes_px: tuple[float, ...]  # likewise, where voxels have no size: pictures
    lesion_found_share: float  # of a lesion's voxels; 0: one voxel is enough
    montage_slices: int  # of each test volume; 0: no montages

    def __post_init__(self) -> None:
        for name in ("lesion_sizes_ml", "lesion_sizes_px"):
            edges = getattr(self, name)
            if not edges or sorted(set(edges)) != list(edges) or edges[0] <= 0:
                raise ValueError(f"{name} must rise from above 0, got {list(edges)}")
        if not 0 <= self.lesion_found_share <= 1:
            raise ValueError(
                f"lesion_found_share must be from 0 to 1, got {self.lesion_found_share}"
            )
        if self.montage_slices < 0:
            raise ValueError(f"montage_slices must be at least 0, got {self.montage_slices}")


def size_class(voxels: int, voxel_ml: float | None, config: WhereConfig) -> str:
    """Into which class of sizes a lesion falls, in words."""
    ends = config.lesion_sizes_px if voxel_ml is None else config.lesion_sizes_ml
    size, unit = (voxels, "px") if voxel_ml is None else (voxels * voxel_ml, "ml")
    return _classes(ends, unit)[int(np.searchsorted(ends, size, side="right"))]


def size_classes(config: WhereConfig, units: Collection[str]) -> list[str]:
    """All classes in these units, the smallest first."""
    ends = {"ml": config.lesion_sizes_ml, "px": config.lesion_sizes_px}
    return [name for unit in ends if unit in units for name in _classes(ends[unit], unit)]


def _classes(ends: Sequence[float], unit: str) -> list[str]:
    middle = [f"{low:g} to {high:g} {unit}" for low, high in pairwise(ends)]
    return [f"below {ends[0]:g} {unit}", *middle, f"{ends[-1]:g} {unit} and more"]
