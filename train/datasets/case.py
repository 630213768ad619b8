"""Case: what a dataset says of one scan."""

from collections.abc import Iterable
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


def refuse_unusable_names(cases: Iterable[Case]) -> None:
    """Images are known by their scans, and tables of them are UTF-8.

    Raises:
        BadDatasetError: a scan is there twice, or it or its group has a name that is no text.
    """
    seen: set[Path] = set()
    for case in cases:
        if case.scan in seen:
            raise BadDatasetError(
                f"the dataset names {case.scan} twice",
                hint="each scan is normal or abnormal, and one patient's",
            )
        seen.add(case.scan)
        for name in (case.scan.as_posix(), case.group):
            if not _is_text(name):
                raise BadDatasetError(
                    f"the name {name!a} is not in UTF-8", hint="rename the file or folder"
                )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # the bytes of a file's name, kept as they are
        return False
    return True


def from_root(path: Path) -> Path:
    """`path` as cases name it: relative to the working directory (the repository root) if below.

    Links are kept as they are: data linked into the repository is inside it.
    """
    absolute, root = Path.cwd() / path, Path.cwd()
    return absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
