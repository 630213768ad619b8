"""Voxel values → the range a network was fitted on."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.shapes import Voxels
from infer.volume import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Intensity:
    """How voxel values become network input.

    `window`: `low` to `high` in modality units (HU in CT) become `output_low` to `output_high`;
    a picture (unit "display") counts as windowed already, its black is `low`, its white `high`.
    `percentile`: `low` and `high` are percentiles (0 to 100) of the scan's own voxels, per channel.
    Values beyond are clipped.
    """

    recipe: Literal["window", "percentile"]
    low: float
    high: float
    output_low: float
    output_high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if not self.output_low < self.output_high:
            raise ValueError(
                f"output_low must be below output_high, got {self.output_low} and "
                f"{self.output_high}"
            )
        if self.recipe == "percentile" and not (self.low >= 0 and self.high <= 100):
            raise ValueError(f"percentiles lie in 0 to 100, got {self.low} and {self.high}")


def rescale(voxels: Voxels, unit: Unit, intensity: Intensity) -> Voxels:
    """Voxels of a whole scan `(channel, *spatial)` in the network's range."""
    raise NotImplementedError  # H2
