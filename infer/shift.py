"""How far a population of scans lies from the normals, and how likely chance alone puts it there.

Both are counts, as in `infer.population`: `normals` (distinct,) how many normals have each value,
`scans` (2 · distinct + 1,) how many scans lie below, on and between those values. Nothing is lost
by that: between two neighbouring normals the normals' distribution is flat, so that the largest
distance of the two distributions lies at a normal, whatever the scans' own values are.
"""

import math
from typing import NamedTuple

import numpy as np

# Normals or scans: up to so many, chance is counted out; beyond, the distribution that it tends to.
EXACT = 1000
# Bins of the stability index hold about so many normals, and as many scans if these are alike;
# 10 bins, deciles, are usual.
A_BIN = 5
FEWEST_BINS, MOST_BINS = 2, 10
# Added to each bin's count, so that an empty one does not make the index infinite.
HALF = 0.5


def ks_statistic(normals: np.ndarray, scans: np.ndarray) -> float:
    """Largest distance between the two distributions, 0 to 1: Kolmogorov-Smirnov's D."""
    spread = np.zeros_like(scans)
    spread[1::2] = normals
    distances = np.cumsum(scans) / scans.sum() - np.cumsum(spread) / spread.sum()
    return float(np.abs(distances).max())


def ks_p_value(normals: np.ndarray, scans: np.ndarray) -> float:
    """How likely a distance so large is where both come from one distribution.

    Where values are equal, as voxel sizes are, it is less likely than that.
    """
    count, others = int(scans.sum()), int(normals.sum())
    statistic = ks_statistic(normals, scans)
    if max(count, others) > EXACT:
        from scipy import special  # a third of a second, for long runs that may have shifted

        # Stephens, Journal of the Royal Statistical Society B 32, 115 (1970): how the limit is
        # reached.
        root = math.sqrt(count * others / (count + others))
        return float(special.kolmogorov((root + 0.12 + 0.11 / root) * statistic))
    return _share_of_orders(others, count, round(statistic * count * others))


def _share_of_orders(normals: int, scans: int, distance: int) -> float:
    """Of all orders in which so many may stand, those in which D reaches distance / (normals ·
    scans).

    Whoever stands last among i normals and j scans is a normal in i of i + j orders. So the share
    in which D is reached on the way is the mean of those of one normal less and of one scan less:
    no difference is taken, and the smallest share has all its digits. After Hodges, Arkiv för
    Matematik 3, 469 (1958).
    """
    here = np.arange(normals + 1)  # i, for each i + j in turn
    share = np.zeros(normals + 1)
    for together in range(1, normals + scans + 1):
        others = together - here
        before = np.concatenate([[0.0], share[:-1]])  # one normal less
        share = (here * before + np.maximum(others, 0) * share) / together
        is_order = (others >= 0) & (others <= scans)
        share[is_order & (np.abs(here * scans - others * normals) >= distance)] = 1.0
    return float(share[-1])


def smallest_p_value(*, normals: int, scans: int) -> float:
    """What `ks_p_value` is where all scans lie beyond all normals: no run gives less.

    >>> smallest_p_value(normals=3, scans=2)
    0.2
    """
    # Two of the orders in which as many normals and scans may stand.
    orders = 1.0
    for at in range(1, scans + 1):
        orders *= (normals + at) / at
        if orders > 1e300:
            return 0.0
    return min(1.0, 2 / orders)


def stability_index(normals: np.ndarray, scans: np.ndarray) -> float:
    """Population stability index: Σ (p - q) ln(p / q) over bins of about as many normals each."""
    bins = _bins(normals, int(scans.sum()))
    expected = _shares(np.bincount(bins.of_normals, normals, bins.number))
    actual = _shares(np.bincount(bins.of_cells, scans, bins.number))
    return float(((actual - expected) * np.log(actual / expected)).sum())


def stability_index_by_chance(normals: np.ndarray, scans: int) -> float:
    """Its mean where so many scans come from the same distribution as the normals.

    It is then about (1 / normals + 1 / scans) times a χ² of one degree of freedom less than bins.
    """
    return (_bins(normals, scans).number - 1) * (1 / int(normals.sum()) + 1 / scans)


def superiority(normals: np.ndarray, scans: np.ndarray) -> float:
    """Share of pairs of a scan and a normal in which the scan's value is higher; equal ones half.

    >>> superiority(np.array([1, 1]), np.array([0, 0, 0, 1, 1]))
    0.875
    """
    up_to = np.concatenate([[0], np.cumsum(normals)])
    below = np.empty(len(scans))
    below[0::2] = up_to
    below[1::2] = (up_to[:-1] + up_to[1:]) / 2
    return float((below * scans).sum() / (up_to[-1] * scans.sum()))


class _Bins(NamedTuple):
    """Which bin, from 0, each of the normals' values, and each cell of the scans, is in."""

    of_normals: np.ndarray
    of_cells: np.ndarray
    number: int


def _bins(normals: np.ndarray, scans: int) -> _Bins:
    """As many as so many scans fill; none ends within equal normals."""
    count = int(normals.sum())
    wanted = min(MOST_BINS, max(FEWEST_BINS, min(count, scans) // A_BIN))
    below = np.cumsum(normals) - normals
    bins: np.ndarray = np.unique(below * wanted // count, return_inverse=True)[1]
    if not bins.any():
        # Nearly all normals are equal, as voxel sizes may be: one bin, and what lies beyond them.
        of_cells = np.ones(2 * len(normals) + 1, np.int64)
        of_cells[0], of_cells[-1] = 0, 2
        return _Bins(bins + 1, of_cells, 3)
    # A scan between two normals belongs to the bin of the higher one, above all to the last.
    return _Bins(bins, np.append(np.repeat(bins, 2), bins[-1]), int(bins[-1]) + 1)


def _shares(counts: np.ndarray) -> np.ndarray:
    shares: np.ndarray = (counts + HALF) / (counts.sum() + HALF * len(counts))
    return shares
