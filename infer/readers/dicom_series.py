"""Which DICOM files of a folder belong together, and what each series is called.

A series is called after its file if it has one, else after the folder that holds it; where a folder
holds several, its number and a digest of its UID are added. Never after a patient.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from infer.errors import UnreadableScanError
from infer.readers.dicom_frame import frame_count
from infer.readers.dicom_header import DIRECTORY, Dataset, header_of, is_dicom, reading

SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")

_TAGS = (
    "SOPClassUID",
    "Modality",
    "SeriesInstanceUID",
    "SeriesNumber",
    "ImagePositionPatient",
    "NumberOfFrames",
    "ConcatenationUID",
)
# Modalities whose files are slices: one without a position is a fault of its series. Elsewhere
# (radiographs, ultrasound pictures) it is an image by itself.
_SLICES = ("CT", "MR", "PT")
_DIGITS = 8  # of a UID's digest


class Series(NamedTuple):
    """Files that belong together."""

    files: tuple[Path, ...]
    uid: str
    number: int | None


def find_series(candidates: Iterable[Path]) -> list[Series]:
    """Group those of the files that are DICOM.

    A file with a DICOM ending that cannot be read is a series of its own: its reader says why.
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    numbers: dict[tuple[str, ...], int | None] = {}
    for file in candidates:
        if not may_be_dicom(file):
            continue
        found = _key(file)
        if found is not None:
            key, number = found
            groups[key].append(file)
            numbers.setdefault(key, number)
    return [
        Series(files=tuple(sorted(files)), uid=key[0], number=numbers[key])
        for key, files in groups.items()
    ]


def may_be_dicom(file: Path) -> bool:
    """Whether a file says that it is DICOM, by its content or by its name."""
    return is_dicom(file) or file.name.lower().endswith(SUFFIXES)


def series_names(
    found: Iterable[Series], root: Path, *, taken: Collection[str]
) -> dict[str, Series]:
    """Series by name, relative to `root` and unlike any name that is taken."""
    homes = {series.files: _home(series, root) for series in found}
    alone = Counter(home for files, home in homes.items() if len(files) > 1)
    names: dict[str, Series] = {}
    for series in sorted(found):
        home = homes[series.files]
        if len(series.files) == 1:
            name = series.files[0].relative_to(root).as_posix()
        elif alone[home] == 1:
            name = home if home != "." else root.resolve().name
        else:
            name = ""
        if not name or name in names or name in taken:
            name = _long_name(series, home)
        names[name] = series
    return names


def _key(file: Path) -> tuple[tuple[str, ...], int | None] | None:
    """What the files of a series share, and the series' number; None: an index of other files."""
    try:
        header = header_of(file, _TAGS)
        with reading(file.name):
            if header.file_meta.get("MediaStorageSOPClassUID") == DIRECTORY:
                return None
            uid = str(header.get("SeriesInstanceUID") or "")
            number = header.get("SeriesNumber")
            return (uid, *_own(header, file)), None if number is None else int(number)
    except (UnreadableScanError, OSError):
        return ("", str(file)), None


def _own(header: Dataset, file: Path) -> tuple[str, ...]:
    """What tells a file's image from others of its series: nothing where it is a slice of it."""
    if frame_count(header) > 1:  # a volume by itself, or a piece of one cut into several files
        return (str(header.get("ConcatenationUID") or file),)
    lies_nowhere = header.get("ImagePositionPatient") is None
    if (lies_nowhere and header.get("Modality") not in _SLICES) or not header.get(
        "SeriesInstanceUID"
    ):
        return (str(file),)
    return ()


def _home(series: Series, root: Path) -> str:
    """The innermost folder, relative to `root`, that holds all files of a series."""
    return (
        Path(os.path.commonpath([file.parent for file in series.files]))
        .relative_to(root)
        .as_posix()
    )


def _long_name(series: Series, home: str) -> str:
    short = hashlib.sha256(series.uid.encode(errors="replace")).hexdigest()[:_DIGITS]
    words = ["series", short] if series.number is None else ["series", str(series.number), short]
    return (Path(home) / "-".join(words)).as_posix()
