"""Case: what a dataset says of one scan."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infer.errors import UadError

Split = Literal["train", "validation", "test"]


class BadDatasetError(UadError):
    """Scans or their table that are not where, or not as, a dataset expects them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scan, whose it is, and whether it is normal."""

    scan: Path  # relative to the repository root wherever it lies below it
    group: str  # patient, or near-duplicates: never divided between splits
    normal: bool
    mask: Path | None  # non-zero where the scan is abnormal; None: not known, or normal
    kind: str = ""  # of abnormality, where a dataset knows it: a grade, or what was planted
    size_mm: float | None = None  # radius of the sphere of its volume, where it was planted
    split: Split | None = None  # where the dataset itself says it; for `split.scheme: given`


def from_root(path: Path) -> Path:
    """`path` as cases name it: relative to the working directory (the repository root) if below.

    Links are kept as they are: data linked into the repository is inside it.
    """
    absolute, root = Path.cwd() / path, Path.cwd()
    return absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
