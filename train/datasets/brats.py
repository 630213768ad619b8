"""BraTS: patients with brain tumours, one folder each with four MR modalities and a segmentation.

The layouts of 2017 to 2023, and that of the 2015 data as deepmedic prepared it:

<…>/<patient>/BraTS19_2013_10_1_flair.nii.gz      … _t1, _t1ce, _t2 and _seg (2017 to 2021)
<…>/<patient>/BraTS-GLI-00000-000-t2f.nii.gz      … -t1n, -t1c, -t2w and -seg (2023)
<…>/<patient>/Flair_subtrMeanDivStd.nii.gz        … T1c_, T1_, T2_; and OTMultiClass.nii.gz (2015)

Folders may be nested in any way. A folder HGG or LGG above a patient's is his grade, and so is the
column Grade of a name_mapping.csv. A scan whose segmentation is empty is normal. Of 2023's names
the last number is the visit: all visits of a patient are one group.

Lesion-free slices of these patients lie mostly at the top and the bottom of the head: a model that
learns from them alone may tell the height of a slice, where it should tell a tumour.
"""

import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from infer.errors import UnreadableScanError
from infer.readers import find_scans, read
from train.datasets.case import BadDatasetError, Case, from_root
from train.datasets.table import read_table

Modality = Literal["flair", "t1", "t1ce", "t2"]

SEGMENTATION = "seg"
# What files are called after, in small letters, by the names of all years.
CALLED = {
    "flair": "flair",
    "t2f": "flair",
    "t1": "t1",
    "t1n": "t1",
    "t1ce": "t1ce",
    "t1c": "t1ce",
    "t2": "t2",
    "t2w": "t2",
    "seg": SEGMENTATION,
    "otmulticlass": SEGMENTATION,
}
_OF_2015 = re.compile(r"(?P<what>[a-z0-9]+)_subtrmeandivstd|(?P<truth>otmulticlass)")
_SINCE = re.compile(r".+[_-](?P<what>[a-z0-9]+)")
_VISIT = re.compile(r"(?P<patient>BraTS-[A-Za-z]+-\d+)-\d+")
GRADES = ("HGG", "LGG")
LAYOUT = (
    "each patient needs a folder of his own with one file a modality and the segmentation, e.g. "
    "BraTS19_x_flair.nii.gz and BraTS19_x_seg.nii.gz, BraTS-GLI-x-t2f.nii.gz and "
    "BraTS-GLI-x-seg.nii.gz, or Flair_subtrMeanDivStd.nii.gz and OTMultiClass.nii.gz"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BratsOptions:
    """What is looked at."""

    modality: Modality


class _Visit(NamedTuple):
    """A patient's folder."""

    folder: Path
    files: dict[str, Path]  # by modality, and the segmentation


def brats_cases(source: Path, options: BratsOptions, out: Path) -> list[Case]:
    """Every patient's scan of one modality; the segmentations are read to tell who is normal.

    Raises:
        BadDatasetError: there are no patients, or one lacks the modality or the segmentation.
    """
    if not source.is_dir():
        raise BadDatasetError(f"{source} does not exist", hint=LAYOUT)
    visits = _visits(source)
    if not visits:
        raise BadDatasetError(f"{source} holds no BraTS patients", hint=LAYOUT)
    for visit in visits:
        for needed in (options.modality, SEGMENTATION):
            if needed not in visit.files:
                raise BadDatasetError(
                    f"{visit.folder} has no {needed} ({len(visit.files)} other files of BraTS)",
                    hint="the challenge keeps the segmentations of its own validation set: leave "
                    "such patients out"
                    if needed == SEGMENTATION
                    else "options.modality is flair, t1, t1ce or t2; is the download complete?",
                )
    grades = _grades_in_tables(source)
    with ThreadPoolExecutor() as pool:
        empty = list(pool.map(lambda it: _is_empty(it.files[SEGMENTATION]), visits))
    return [
        _case(source, visit, options, normal=normal, grades=grades)
        for visit, normal in zip(visits, empty, strict=True)
    ]


def _visits(source: Path) -> list[_Visit]:
    """Every folder with files of BraTS in it, sorted by path."""
    by_folder: dict[Path, dict[str, Path]] = {}
    for path in find_scans(source):
        if what := _what(path.name):
            files = by_folder.setdefault(path.parent, {})
            if what in files:
                raise BadDatasetError(
                    f"{path.parent} holds two files of {what}: {files[what].name} and {path.name}",
                    hint=LAYOUT,
                )
            files[what] = path
    return [_Visit(folder, by_folder[folder]) for folder in sorted(by_folder)]


def _what(name: str) -> str:
    """The modality, or the segmentation, that a file is of; empty for others.

    >>> _what("BraTS19_2013_10_1_t1ce.nii.gz"), _what("T1c_subtrMeanDivStd.nii.gz")
    ('t1ce', 't1ce')
    """
    stem = name.lower().removesuffix(".gz").removesuffix(".nii")
    found = _OF_2015.fullmatch(stem) or _SINCE.fullmatch(stem)
    parts = found.groupdict() if found else {}
    return CALLED.get(parts.get("what") or parts.get("truth") or "", "")


def _is_empty(segmentation: Path) -> bool:
    try:
        return not read(segmentation).voxels.any()
    except UnreadableScanError as error:
        raise BadDatasetError(
            f"the segmentation {segmentation} cannot be read: {error}",
            hint="download it again, or leave the patient out",
        ) from error


def _case(
    source: Path, visit: _Visit, options: BratsOptions, *, normal: bool, grades: dict[str, str]
) -> Case:
    name = visit.folder.name
    above = visit.folder.relative_to(source).parts
    kind = next((it for it in GRADES if it in above), grades.get(name, ""))
    several = _VISIT.fullmatch(name)
    return Case(
        scan=from_root(visit.files[options.modality]),
        group=several["patient"] if several else name,
        normal=normal,
        mask=None if normal else from_root(visit.files[SEGMENTATION]),
        kind="" if normal else kind,
    )


def _grades_in_tables(source: Path) -> dict[str, str]:
    """Grade by patient, of the tables that lie beside the folders."""
    grades: dict[str, str] = {}
    for table in sorted(source.rglob("name_mapping*.csv")):
        for line in read_table(table).lines:
            grades |= _grade_of(line.cells)
    return grades


def _grade_of(line: Mapping[str, str]) -> dict[str, str]:
    """A table names a patient as each year did, in a column each."""
    grade = line.get("Grade", "")
    return {value: grade for name, value in line.items() if value and name != "Grade" and grade}
