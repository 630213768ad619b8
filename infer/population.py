"""One number of each of many scans, kept as counts between the same number of the normals.

All that a comparison asks is how many scans lie below, between and on which normals. Two counts for
each normal hold that exactly, of however many scans, and the counts of two runs add up.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One number of each normal scan."""

    values: np.ndarray  # (distinct,) ascending, each once
    mass: np.ndarray  # (distinct,) how many normals have each

    @property
    def count(self) -> int:
        """How many normals there are."""
        return int(self.mass.sum())

    @property
    def lowest(self) -> float:
        """Of the normals' values."""
        return float(self.values[0])

    @property
    def median(self) -> float:
        """Of an even number of normals the higher of the two in the middle."""
        return float(self.values[np.searchsorted(np.cumsum(self.mass), self.count // 2 + 1)])

    @property
    def highest(self) -> float:
        """Of the normals' values."""
        return float(self.values[-1])


def reference_of(values: Sequence[float] | np.ndarray) -> Reference:
    """Of at least one number, in any order."""
    distinct, mass = np.unique(np.asarray(values, np.float64), return_counts=True)
    return Reference(values=distinct, mass=mass)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """One number of each of some scans.

    `cells` (2 · distinct + 1,) counts them from below the first of the reference's values, on it,
    between it and the second, on that, …, to above the last.
    """

    cells: np.ndarray
    outside: int = 0  # how many lie further than the tolerance beyond the reference
    total: float = 0.0  # of all numbers
    lowest: float = math.inf
    highest: float = -math.inf

    @property
    def count(self) -> int:
        """How many scans there are."""
        return int(self.cells.sum())

    @property
    def mean(self) -> float:
        """Of the numbers of at least one scan."""
        return self.total / self.count

    def __add__(self, other: "Population") -> "Population":
        """Of the scans of both, which were compared with the same reference."""
        return Population(
            cells=self.cells + other.cells,
            outside=self.outside + other.outside,
            total=self.total + other.total,
            lowest=min(self.lowest, other.lowest),
            highest=max(self.highest, other.highest),
        )


def population_of(
    values: Sequence[float] | np.ndarray, reference: Reference, *, tolerance: float = 1.0
) -> Population:
    """These numbers between the reference's.

    `tolerance` is the factor by which one may lie beyond the reference and not count as outside it.
    """
    numbers = np.asarray(values, np.float64)
    distinct = reference.values
    at = np.searchsorted(distinct, numbers)
    on = distinct[np.minimum(at, len(distinct) - 1)] == numbers
    cells = np.bincount(2 * at + on, minlength=2 * len(distinct) + 1)
    if not len(numbers):
        return Population(cells=cells)
    low, high = reference.lowest / tolerance, reference.highest * tolerance
    return Population(
        cells=cells,
        outside=int(((numbers < low) | (numbers > high)).sum()),
        total=math.fsum(numbers),
        lowest=float(numbers.min()),
        highest=float(numbers.max()),
    )
