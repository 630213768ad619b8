"""Slice scores → scan score; score → percentile of normal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.shapes import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """How the scores of a scan's slices become its score: mean of the highest `top_share`."""

    top_share: float  # in (0, 1]; the single highest slice always counts, so 1e-9 means maximum
    # What a slice's score is: the graph's, or the highest value that its map has there when it is
    # thresholded. The graph sees each slice by itself; a filter of the map sees its neighbours.
    # Before schema 8: graph.
    slice_score: Literal["graph", "map"] = "graph"

    def __post_init__(self) -> None:
        if not 0 < self.top_share <= 1:
            raise ValueError(f"top_share must lie in (0, 1], got {self.top_share}")


def scan_score(slice_scores: Scores, aggregation: Aggregation) -> float:
    """Mean of the highest `top_share` of the slice scores, of at least one.

    >>> scan_score(np.array([1, 5, 3, 2], np.float32), Aggregation(top_share=0.5))
    4.0
    """
    count = max(1, round(aggregation.top_share * len(slice_scores)))
    return float(np.mean(np.sort(slice_scores)[-count:], dtype=np.float64))


def normal_percentile(score: float, normal_scores: Sequence[float]) -> float:
    """Share of the normal scores (ascending) below `score`, 0 to 100; equal ones count half.

    NaN where there are no normals to compare with.

    >>> normal_percentile(2.0, (1.0, 2.0, 3.0, 4.0))
    37.5
    """
    if not normal_scores:
        return float("nan")
    below = np.searchsorted(normal_scores, score, side="left")
    up_to = np.searchsorted(normal_scores, score, side="right")
    return float(below + up_to) / 2 / len(normal_scores) * 100
