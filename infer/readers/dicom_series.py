"""Which DICOM files of a folder belong together, and what each series is called.

A series is called after its file if it has one, else after the folder that holds it; where a folder
holds several, its number and a digest of its UID are added. Never after a patient.
"""

import contextlib
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from infer.cores import cores
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
# Of a UID's digest: of 10,000 series in one folder, two agree in eight once in a hundred times.
_DIGITS, _ALL_DIGITS = 8, 64
# With more, headers are read by a process on each core, which takes half a second to start.
MANY_FILES = 4000
AT_ONCE = 256


class Series(NamedTuple):
    """Files that belong together."""

    files: tuple[Path, ...]
    key: tuple[str, ...]  # what its files share: its UID, of a concatenation also that one's
    number: int | None

    def known_by(self, root: Path) -> str:
        """Its key as one word, the same wherever `root` lies; "" without a UID."""
        uid, *own = self.key
        file = str(self.files[0])
        inside = (self.files[0].relative_to(root).as_posix() if it == file else it for it in own)
        return "\0".join((uid, *inside)) if uid else ""


class Membership(NamedTuple):
    """To which series a file belongs."""

    file: Path
    key: tuple[str, ...]  # what the files of a series share: its UID first
    number: int | None  # of the series


Sorting: TypeAlias = Callable[[Sequence[Path]], list[Membership]]


def find_series(candidates: Iterable[Path]) -> list[Series]:
    """Group those of the files that are DICOM.

    A file with a DICOM ending that cannot be read is a series of its own: its reader says why.
    """
    return grouped(_memberships_of_many(list(candidates)))


def grouped(memberships: Iterable[Membership]) -> list[Series]:
    """Put together what belongs to one series, in the order of the files."""
    groups: dict[tuple[str, ...], list[Membership]] = defaultdict(list)
    for found in sorted(memberships):  # by file
        groups[found.key].append(found)
    return [
        Series(files=tuple(it.file for it in members), key=key, number=members[0].number)
        for key, members in groups.items()
    ]


def may_be_dicom(file: Path) -> bool:
    """Whether a file says that it is DICOM, by its content or by its name."""
    return is_dicom(file) or file.name.lower().endswith(SUFFIXES)


def series_names(
    found: Iterable[Series], root: Path, *, taken: Container[str]
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
            lengths = range(_DIGITS, _ALL_DIGITS + 1)
            longer = (_long_name(series, home, digits) for digits in lengths)
            name = next(it for it in longer if it not in names and it not in taken)
        names[name] = series
    return names


def _memberships_of_many(files: Sequence[Path]) -> list[Membership]:
    if len(files) < MANY_FILES:
        return memberships(files)
    from infer.executors.processes import ProcessExecutor

    chunks = (files[start : start + AT_ONCE] for start in range(0, len(files), AT_ONCE))
    spread = ProcessExecutor(cores(), _outliving).map(_open, chunks)
    with contextlib.closing(spread) as found:
        return [membership for some in found for membership in some]


def _open() -> Sorting:
    return memberships


def _outliving(sort: Sorting) -> Sorting:
    """The same; a file whose header is the end of a process is a series of its own."""
    from infer.executors.processes import one_by_one

    return one_by_one(sort, lambda file, lost: unknown(file))


def memberships(files: Sequence[Path]) -> list[Membership]:
    """Of those of the files that are DICOM, and no index of others."""
    found = (_membership(file) for file in files if may_be_dicom(file))
    return [membership for membership in found if membership is not None]


def _membership(file: Path) -> Membership | None:
    try:
        header = header_of(file, _TAGS)
        with reading(file.name):
            if header.file_meta.get("MediaStorageSOPClassUID") == DIRECTORY:
                return None
            uid = str(header.get("SeriesInstanceUID") or "")
            number = header.get("SeriesNumber")
            key = (uid, *_own(header, file))
            return Membership(file, key, None if number is None else int(number))
    except (UnreadableScanError, OSError):
        return unknown(file)


def unknown(file: Path) -> Membership:
    """Of a file that cannot be read: a series of its own, whose reader says why."""
    return Membership(file, ("", str(file)), None)


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


def _long_name(series: Series, home: str, digits: int) -> str:
    said = "\0".join(series.key)
    short = hashlib.sha256(said.encode(errors="replace")).hexdigest()[:digits]
    words = ["series", short] if series.number is None else ["series", str(series.number), short]
    return (Path(home) / "-".join(words)).as_posix()
