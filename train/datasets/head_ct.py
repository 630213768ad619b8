"""Head CT - hemorrhage: 100 normal and 100 abnormal slices, one picture each (Kitamura, Kaggle).

No patient is named, but some slices are neighbours in one head, so near-duplicates are grouped.
At a correlation of 0.95 between thumbnails these are nine pairs and no group is of both kinds.
"""

from dataclasses import dataclass
from pathlib import Path

from train.datasets.case import BadDatasetError, Case, from_root
from train.datasets.near_duplicates import groups_of
from train.datasets.table import read_table

LABELS = {"0": True, "1": False}  # 1: haemorrhage


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadCtOptions:
    """What counts as the same head."""

    near_duplicates_above: float  # correlation of thumbnails, at most 1 (no slices are grouped)

    def __post_init__(self) -> None:
        if not 0 < self.near_duplicates_above <= 1:
            raise ValueError(
                f"near_duplicates_above must lie in 0 to 1, got {self.near_duplicates_above}"
            )


def head_ct_cases(source: Path, options: HeadCtOptions, out: Path) -> list[Case]:
    """The slices named in `source`/labels.csv, in `source`/images.

    Raises:
        BadDatasetError: the data is not there, or is not this dataset.
    """
    table = source / "labels.csv"
    if not table.is_file():
        raise BadDatasetError(
            f"{table} does not exist",
            hint="download 'Head CT - hemorrhage' from Kaggle "
            "(https://www.kaggle.com/datasets/felipekitamura/head-ct-hemorrhage) and put, or "
            f"link, the folder that holds labels.csv and images/ at {source}",
        )
    labels = _labels(table)
    scans = [_picture(source, number) for number in labels]
    groups = groups_of(scans, above=options.near_duplicates_above)
    return [
        Case(scan=from_root(scan), group=group, normal=normal, mask=None)
        for scan, group, normal in zip(scans, groups, labels.values(), strict=True)
    ]


def _labels(table: Path) -> dict[int, bool]:
    """Slice number → normal. The file's header has a space after its comma."""
    labels = {}
    for at, line in read_table(table).lines:
        number, label = line.get("id", ""), line.get("hemorrhage", "")
        if not number.isdecimal() or label not in LABELS:
            raise BadDatasetError(
                f"{table}, line {at}, is not an id and 0 or 1",
                hint="its header must be `id, hemorrhage`",
            )
        if int(number) in labels:
            raise BadDatasetError(f"{table}, line {at}, names slice {number} again")
        labels[int(number)] = LABELS[label]
    if not labels:
        raise BadDatasetError(f"{table} names no slices")
    return labels


def _picture(source: Path, number: int) -> Path:
    """The archive nests its pictures once more than its own description says."""
    name = f"{number:03}.png"
    places = (
        source / "images" / name,
        source / "head_ct" / name,
        source / "head_ct/head_ct" / name,
    )
    for place in places:
        if place.is_file():
            return place
    raise BadDatasetError(
        f"{places[0]} does not exist", hint=f"labels.csv names slice {number}; copy all pictures"
    )
