"""One number of a run's scans beside that of the normals, and whether it has shifted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from infer.population import Population, Reference, population_of
from infer.shift import (
    ks_p_value,
    ks_statistic,
    smallest_p_value,
    stability_index,
    stability_index_by_chance,
    superiority,
)

Axis = Literal["score", "intensity", "geometry"]
Verdict = Literal["as expected", "shifted", "too few scans"]

# How often a run of scans like the normals may be said to have shifted, all looks together.
FALSE_ALARMS = 0.001
LEAST_SCANS = 5  # fewer are a patient or two, whatever chance would say of them
# Above what chance gives. 0.25 is where a shift is usually called large (Siddiqi, Credit Risk
# Scorecards, 2006), in large populations: the index of small ones is larger by chance alone.
LARGE_INDEX = 0.25
# Geometry: voxels a tenth larger or smaller than any normal's are no others yet; and a run is
# scans of one device or two, of which that others were seen as well says nothing.
TOLERANCE = 1.1
MANY_OUTSIDE = 0.5  # of the scans


class Look(NamedTuple):
    """A number that every scan has."""

    axis: Axis
    words: str


LOOKS = {
    "score": Look("score", "score"),
    "intensity_mean": Look("intensity", "mean of the images"),
    "intensity_std": Look("intensity", "standard deviation of the images"),
    "depth": Look("geometry", "slices"),
    "height": Look("geometry", "height in voxels"),
    "width": Look("geometry", "width in voxels"),
    "spacing_depth": Look("geometry", "mm between slices"),
    "spacing_height": Look("geometry", "voxel height in mm"),
    "spacing_width": Look("geometry", "voxel width in mm"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """The scans' numbers among the normals'."""

    normals: np.ndarray  # (distinct,) how many normals have each value
    normals_range: tuple[float, float, float]  # lowest, median, highest
    scans: Population

    @classmethod
    def with_(cls, reference: Reference) -> "Compared":
        """No scan yet."""
        return cls(
            normals=reference.mass,
            normals_range=(reference.lowest, reference.median, reference.highest),
            scans=population_of((), reference),
        )

    def __add__(self, other: Population) -> "Compared":
        """With further scans."""
        return Compared(
            normals=self.normals,
            normals_range=self.normals_range,
            scans=self.scans + other,
        )

    @property
    def normals_count(self) -> int:
        """How many normals there are."""
        return int(self.normals.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is to be said of it; None: there is no scan, or it was not asked."""

    verdict: Verdict
    distance: float | None = None  # Kolmogorov-Smirnov's D
    p: float | None = None  # of that distance, times the number of looks; asked of large shifts
    index: float | None = None  # population stability index
    by_chance: float | None = None  # what of it chance alone gives
    superiority: float | None = None  # share of pairs in which the scan's number is the higher one


def judge(compared: Compared, axis: Axis, *, looks: int) -> Judged:
    """Shifted is what is far from the normals and not there by chance, of so many looks at a run.

    Far: a stability index `LARGE_INDEX` above what chance gives; of geometry, half of the scans
    outside of what was seen. Not by chance: p of Kolmogorov-Smirnov times the number of looks
    (Bonferroni) below `FALSE_ALARMS`. Where all scans beyond all normals would not be that rare,
    nothing can be said.
    """
    normals, scans = compared.normals, compared.scans
    if not scans.count:
        return Judged(verdict="too few scans")
    index = stability_index(normals, scans.cells)
    by_chance = stability_index_by_chance(normals, scans.count)
    rarest = smallest_p_value(normals=compared.normals_count, scans=scans.count)
    enough = scans.count >= LEAST_SCANS and rarest * looks < FALSE_ALARMS
    if axis == "geometry":
        is_far = scans.outside >= MANY_OUTSIDE * scans.count
    else:
        is_far = index - by_chance >= LARGE_INDEX
    p = min(1.0, ks_p_value(normals, scans.cells) * looks) if enough and is_far else None
    shifted = p is not None and p < FALSE_ALARMS
    return Judged(
        verdict="shifted" if shifted else "as expected" if enough else "too few scans",
        distance=ks_statistic(normals, scans.cells),
        p=p,
        index=index,
        by_chance=by_chance,
        superiority=superiority(normals, scans.cells),
    )


def record_of(compared: Compared, judged: Judged) -> dict[str, Any]:
    """For run.json: for people, and for those who add up runs."""
    scans = compared.scans
    some = bool(scans.count)
    lowest, median, highest = compared.normals_range
    return {
        "verdict": judged.verdict,
        "ks": _short(judged.distance),
        "ks_p": _short(judged.p),
        "psi": _short(judged.index),
        "psi_by_chance": _short(judged.by_chance),
        "higher": _short(judged.superiority),
        "normals": {
            "count": compared.normals_count,
            "lowest": lowest,
            "median": median,
            "highest": highest,
            "cells": _as_text(compared.normals),
        },
        "scans": {
            "count": scans.count,
            "lowest": scans.lowest if some else None,
            "mean": scans.mean if some else None,
            "highest": scans.highest if some else None,
            "outside": scans.outside,
            "cells": _as_text(scans.cells),
        },
    }


def compared_from(record: Mapping[str, Any]) -> Compared:
    """What a record was made of.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    of_normals, of_scans = record["normals"], record["scans"]
    normals, cells = _counts(of_normals["cells"]), _counts(of_scans["cells"])
    if len(cells) != 2 * len(normals) + 1 or not normals.all():
        raise ValueError("its cells do not fit together")
    count = int(cells.sum())
    low, mean, high = (float(of_scans[name]) for name in _RANGE) if count else _NOTHING
    lowest, median, highest = (float(of_normals[name]) for name in ("lowest", "median", "highest"))
    return Compared(
        normals=normals,
        normals_range=(lowest, median, highest),
        scans=Population(
            cells=cells,
            outside=int(of_scans["outside"]),
            total=mean * count,
            lowest=low,
            highest=high,
        ),
    )


_RANGE = ("lowest", "mean", "highest")
_NOTHING = (math.inf, 0.0, -math.inf)


def _as_text(counts: np.ndarray) -> str:
    """One line of a file, however many there are."""
    return " ".join(map(str, counts.tolist()))


def _counts(text: str) -> np.ndarray:
    counts = np.array([int(count) for count in text.split()], np.int64)
    if not len(counts) or counts.min() < 0:
        raise ValueError("its cells are no counts")
    return counts


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.4g}")
