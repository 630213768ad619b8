"""A user's own scans: two folders, or a table.

<source>/normal/…, <source>/abnormal/…, and optionally <source>/masks/… that mirrors `abnormal`
(a mask has its scan's name; the ending may differ). A folder inside `normal` or `abnormal` is one
patient. One of `normal` and `abnormal` may be missing, where `split.scheme` needs no such scans.

<source>.csv with the columns scan,label,patient,mask and, if wanted, kind (of abnormality): paths
relative to the table, label normal or abnormal, patient, mask and kind may be empty. Scans without
a patient stand alone.

Pictures (PNG, JPEG, TIFF), NIfTI volumes and DICOM series alike. A series is a folder of its own;
its mask has the folder's name: abnormal/eve/ct/… and masks/eve/ct.nii.gz.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path, PurePath

from infer.presence import is_there
from infer.readers import find_scans, find_sources
from train.datasets.case import BadDatasetError, Case, from_root
from train.datasets.table import read_table

COLUMNS = ("scan", "label", "patient", "mask")
LABELS = {"normal": True, "abnormal": False}
MASKS = "masks"
LAYOUT = (
    "data.source must be a folder with normal/ and abnormal/ in it (and masks/, if there are any), "
    "or a .csv file with the columns scan,label,patient,mask"
)
CALLED_MASKS = ("mask", "masks")  # in small letters: folders of what is no scan
NEARLY = 0.8  # of 1: letters that two names share, as `difflib` counts them: Mask, normals
OWN_FOLDER = "give each DICOM series a folder of its own, inside its patient's if you like"


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """Nothing to choose: the block is `options: {}`."""


def folder_cases(source: Path, options: FolderOptions, out: Path) -> list[Case]:
    """The cases of a folder or a table.

    Raises:
        BadDatasetError: it is missing, laid out otherwise, or names what is not there.
    """
    if source.suffix.lower() == ".csv" and source.is_file():
        return _from_table(source)
    if source.is_dir():
        return _from_folders(source)
    raise BadDatasetError(f"{source} does not exist", hint=LAYOUT)


def _from_folders(source: Path) -> list[Case]:
    _check_folders(source)
    masks = _masks_by_name(source / MASKS)
    cases = [
        _in_folder(source / label, scan, normal, masks)
        for label, normal in LABELS.items()
        if (source / label).is_dir()
        for scan in _scans_in(source / label)
    ]
    used = {case.mask for case in cases}
    if unused := sorted(str(mask) for mask in masks.values() if from_root(mask) not in used):
        raise BadDatasetError(
            f"{unused[0]} is the mask of no scan ({len(unused)} such)",
            hint="a mask has the name of its scan in abnormal/, folders inside included",
        )
    return cases


def _check_folders(source: Path) -> None:
    """One of the two may be missing, but none misspelt."""
    missing = [f"{label}/" for label in LABELS if not (source / label).is_dir()]
    known = (*LABELS, MASKS)
    others = [it.name for it in source.iterdir() if it.is_dir() and it.name[0] != "."]
    strange = sorted(set(others) - set(known))
    if len(missing) == len(LABELS) or (missing and strange):
        raise BadDatasetError(f"{source} has no {' and no '.join(missing)}", hint=LAYOUT)
    for name in strange:
        if meant := get_close_matches(name.lower(), known, n=1, cutoff=NEARLY):
            raise BadDatasetError(
                f"{source / name} is none of {', '.join(f'{it}/' for it in known)}, but is called "
                "nearly so",
                hint=f"is {meant[0]}/ meant? rename it, or move it out of {source}",
            )


def _scans_in(folder: Path) -> list[Path]:
    """Files, and the folders of DICOM series of several files, sorted.

    Raises:
        BadDatasetError: a series shares its folder with another scan, or masks lie among scans.
    """
    scans = []
    for source in find_sources(folder).values():
        if len(source.series) < 2:
            scans.append(source.path)
            continue
        homes = {file.parent for file in source.series}
        if len(homes) > 1 or folder in homes:
            raise BadDatasetError(
                f"the {len(source.series)} files of the DICOM series of {source.path} have no "
                "folder of their own",
                hint=OWN_FOLDER,
            )
        scans += homes
    for scan, following in pairwise(sorted(scans)):
        if following.is_relative_to(scan):
            raise BadDatasetError(
                f"{scan} holds a DICOM series and other scans besides", hint=OWN_FOLDER
            )
    for scan in scans:
        if any(it.lower() in CALLED_MASKS for it in scan.relative_to(folder).parts):
            raise BadDatasetError(
                f"{scan} would be taken for a scan, and by its folder's name it is a mask",
                hint=f"masks lie in {folder.parent / MASKS}, each under its scan's name",
            )
    return sorted(scans)


def _in_folder(folder: Path, scan: Path, normal: bool, masks: dict[PurePath, Path]) -> Case:
    inside = scan.relative_to(folder)
    is_series = scan.is_dir()
    mask = None if normal else masks.get(inside if is_series else _without_ending(inside))
    # A patient's folder has the same name under `normal` and `abnormal`; a lone scan need not.
    of_patient = is_series or len(inside.parts) > 1
    patient = inside.parts[0] if of_patient else f"{folder.name}/{inside.name}"
    return Case(
        scan=from_root(scan), group=patient, normal=normal, mask=from_root(mask) if mask else None
    )


def _masks_by_name(folder: Path) -> dict[PurePath, Path]:
    if not folder.is_dir():
        return {}
    found: dict[PurePath, Path] = {}
    for mask in find_scans(folder):
        other = found.setdefault(_without_ending(mask.relative_to(folder)), mask)
        if other != mask:
            raise BadDatasetError(
                f"{other} and {mask} are masks of one scan", hint="leave one of them"
            )
    return found


def _without_ending(path: Path) -> PurePath:
    """Whatever the case of an ending: `a.NII.GZ` is `a`."""
    inner = PurePath(path.stem) if path.suffix.lower() == ".gz" else PurePath(path.name)
    return path.with_name(inner.stem)


def _from_table(table: Path) -> list[Case]:
    found = read_table(table)
    _check_columns(table, found.columns)
    if not found.lines:
        raise BadDatasetError(f"{table} names no scans")
    return [_in_table(table, *line) for line in found.lines]


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    missing = [name for name in COLUMNS if name not in columns]
    if not missing:
        return
    close = get_close_matches(missing[0], columns, n=1)
    raise BadDatasetError(
        f"{table} lacks the column {', '.join(missing)}",
        hint=f"is {close[0]!r} meant?"
        if close
        else f"it needs {','.join(COLUMNS)}; patient and mask may be left empty",
    )


def _in_table(table: Path, at: int, line: dict[str, str]) -> Case:
    scan, label, patient, mask = (line[name] for name in COLUMNS)
    if label.lower() not in LABELS:
        raise BadDatasetError(
            f"{table}, line {at}: label {label!r} is unknown", hint=f"use {' or '.join(LABELS)}"
        )
    for name in filter(None, (scan, mask)):
        if not is_there(table.parent / name):  # a DICOM series is a folder
            raise BadDatasetError(
                f"{table}, line {at}: {table.parent / name} does not exist",
                hint="paths are relative to the table",
            )
    if not scan:
        raise BadDatasetError(f"{table}, line {at}, names no scan")
    return Case(
        scan=from_root(table.parent / scan),
        group=patient or scan,
        normal=LABELS[label.lower()],
        mask=from_root(table.parent / mask) if mask else None,
        kind=line.get("kind", ""),
    )
