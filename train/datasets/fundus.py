"""Colour photographs of the fundus by quality: folders of good ones, which are normal, and of bad.

The ultra-widefield photographs of the fundus study are such, and DRIMDB's are (Sevik et al., J.
Biomed. Opt. 2014: `good: [Good]`, `bad: [Bad]`; its `Outlier`, which shows no retina, may be named,
too).

What may give the classes away without a look at the retina, so that a figure says less than it
seems: size, where each class came from another camera (reports say what the size alone tells);
text burnt in, as the date at the top right of DRIMDB's, on some of the bad ones in a black box
(blank it: `data.preprocessing.blank`); colour, as of the grey fluorescein angiograms among DRIMDB's
bad ones. No patient is named: both eyes, or two photographs of one eye, may lie on two sides of a
split.
"""

from dataclasses import dataclass
from pathlib import Path

from infer.readers import find_scans
from train.datasets.case import BadDatasetError, Case, from_root


@dataclass(frozen=True, slots=True, kw_only=True)
class FundusOptions:
    """Which folders below `data.source` hold what."""

    good: tuple[str, ...]
    bad: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.good:
            raise ValueError("good names no folder: training needs good photographs")
        if both := sorted(set(self.good) & set(self.bad)):
            raise ValueError(f"{', '.join(both)} cannot be good and bad")


def fundus_cases(source: Path, options: FundusOptions, out: Path) -> list[Case]:
    """The photographs of these folders; the `kind` of a bad one is its folder's name.

    Raises:
        BadDatasetError: a folder is not there, or holds no pictures.
    """
    named = ", ".join((*options.good, *options.bad))
    layout = f"data.source must hold the folders {named}, each with pictures: see data.options"
    cases = []
    for name in (*options.good, *options.bad):
        folder = source / name
        if not folder.is_dir():
            raise BadDatasetError(f"{folder} does not exist", hint=layout)
        scans = find_scans(folder)
        if not scans:
            raise BadDatasetError(f"{folder} holds no pictures", hint=layout)
        normal = name in options.good
        cases += [
            Case(
                scan=from_root(scan),
                group=f"{name}/{scan.relative_to(folder).as_posix()}",
                normal=normal,
                mask=None,
                kind="" if normal else name.lower(),
            )
            for scan in scans
        ]
    return cases
