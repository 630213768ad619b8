"""Case: what a dataset says of one scan."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scan, whose it is, and whether it is normal."""

    scan: Path  # relative to the repository root wherever it lies below it
    group: str  # patient, or near-duplicates: never divided between splits
    normal: bool
    mask: Path | None  # non-zero where the scan is abnormal; None: not known, or normal
