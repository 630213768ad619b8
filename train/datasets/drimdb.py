"""DRIMDB: fundus photographs by quality (Sevik et al., J. Biomed. Opt. 2014).

Good ones are normal, bad ones abnormal; outliers, which show no retina at all, are left out or
abnormal by option. JPEG, 570 × 760 pixels in colour but for a few outliers.

What gives the classes away without a look at the retina, so that a figure on this set says less
than it seems: a date is burnt in at the top right of every class (blank it, by
`preprocessing.blank`), and on some of the bad ones that is white on a black box; several of the bad
ones are grey fluorescein angiograms or all white, which colour alone tells. No patient is named:
both eyes, or two photographs of one eye, may lie on two sides of a split.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infer.readers import find_scans
from train.datasets.case import BadDatasetError, Case, from_root

LAYOUT = "data.source must hold the folders Good, Bad and Outlier of DRIMDB, each with pictures"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrimdbOptions:
    """What becomes of photographs that show no retina."""

    outliers: Literal["leave_out", "abnormal"]


def drimdb_cases(source: Path, options: DrimdbOptions, out: Path) -> list[Case]:
    """The photographs of `source`/Good, /Bad and, if asked for, /Outlier.

    Raises:
        BadDatasetError: a folder is not there, or holds no pictures.
    """
    wanted = ("Good", "Bad", *(["Outlier"] if options.outliers == "abnormal" else []))
    cases = []
    for name in wanted:
        folder = source / name
        if not folder.is_dir():
            raise BadDatasetError(f"{folder} does not exist", hint=LAYOUT)
        scans = find_scans(folder)
        if not scans:
            raise BadDatasetError(f"{folder} holds no pictures", hint=LAYOUT)
        normal = name == "Good"
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
