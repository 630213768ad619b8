"""Slice scores → scan score; score → percentile of normal."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """How the scores of a scan's slices become its score: mean of the highest `top_share`."""

    top_share: float  # in (0, 1]; the single highest slice always counts, so 1e-9 means maximum

    def __post_init__(self) -> None:
        if not 0 < self.top_share <= 1:
            raise ValueError(f"top_share must lie in (0, 1], got {self.top_share}")
