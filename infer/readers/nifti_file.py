"""The bytes of a NIfTI file: header, then voxels; packed or not, in one file or in two."""

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from isal.igzip_lib import IsalError

from infer.errors import UnreadableScanError
from infer.presence import is_there
from infer.readers.dicom_header import without_pydicom
from infer.readers.gzip_stream import MAGIC, GzipStream
from infer.readers.voxel_stream import CUT_OFF, Stream, first_bytes

Header: TypeAlias = Any  # nibabel's, which is not imported before a NIfTI file is met
Exists: TypeAlias = Callable[[Path], bool]  # in another place than the disk

# A pair: the header in one file, the voxels in another, either packed or not.
HEADERS = (".hdr", ".hdr.gz")
VOXELS = (".img", ".img.gz")

_NIFTI_1, _NIFTI_2 = 348, 540  # bytes of a header, which its first number says
_OF_PAIRS = (b"ni1", b"ni2")
_LONGEST_HEADER = 2**26  # bytes before the voxels, extensions included


def header_of_pair(voxels: Path, exists: Exists = is_there) -> Path:
    """Where the header of a pair must be."""
    return _renamed(voxels, VOXELS, HEADERS, exists)


def files_of(path: Path, exists: Exists = is_there) -> tuple[Path, ...]:
    """The file itself; of a pair header and voxels, whether or not they exist."""
    if path.name.lower().endswith(HEADERS):
        return path, _renamed(path, HEADERS, VOXELS, exists)
    return (path,)


def header_of(path: Path) -> Header:
    """The header of a file or of a pair; no voxels.

    Raises:
        UnreadableScanError: it is not NIfTI, or damaged.
    """
    with opened(path) as stream:
        raw = first_bytes(stream, _NIFTI_2)
    header = _parsed(raw, path.name)
    is_pair = len(files_of(path)) > 1
    if (bytes(header["magic"])[:3] in _OF_PAIRS) != is_pair:
        raise UnreadableScanError(
            f"{path.name} says its voxels are in "
            + ("the same file, not in another" if is_pair else "another file, not in this one"),
            hint="a pair is called scan.hdr and scan.img, a single file scan.nii",
        )
    return header


def voxel_offset(header: Header, name: str) -> int:
    """Where the voxels begin in their file, in bytes.

    Raises:
        UnreadableScanError: nowhere that can be.
    """
    try:
        offset = int(header.get_data_offset())
    except (ValueError, OverflowError):  # it is a float in the file: infinite, or not a number
        offset = -1
    # Of a single file they come after the header: nibabel takes 0 for that of a pair in any file.
    is_pair = bytes(header["magic"])[:3] in _OF_PAIRS
    first = 0 if is_pair else int(header.single_vox_offset)
    if not first <= offset <= _LONGEST_HEADER:
        raise UnreadableScanError(
            f"{name} does not say where its voxels begin", hint="its header may be damaged"
        )
    return offset


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Stream]:
    """A stream of the bytes, unpacked; what goes wrong in unpacking is said in words."""
    with path.open("rb") as file:
        packed = file.read(len(MAGIC)) == MAGIC
        if file.tell() == 0:
            raise UnreadableScanError(f"{path.name} is empty (0 bytes)", hint=CUT_OFF)
        file.seek(0)
        try:
            yield GzipStream(file) if packed else file
        except (EOFError, IsalError) as error:  # type: ignore[misc]
            raise UnreadableScanError(
                f"{path.name} ends in the middle of its compressed data, or the data is damaged",
                hint=CUT_OFF,
            ) from error


def _parsed(raw: bytes, name: str) -> Header:
    with without_pydicom():
        import nibabel
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # its doubts about headers
    second = _NIFTI_2 in (int.from_bytes(raw[:4], order) for order in ("little", "big"))
    kind: Any = nibabel.Nifti2Header if second else nibabel.Nifti1Header
    try:
        # Of the bytes alone: read from a file, a header would bring extensions of any length.
        header = kind(raw[: _NIFTI_2 if second else _NIFTI_1])
        header.get_slope_inter()
    except (HeaderDataError, WrapStructError, ValueError) as error:
        raise UnreadableScanError(
            f"{name} is not a NIfTI file, whatever its name says, or its header is damaged",
            hint="export it again, or remove it from the folder",
        ) from error
    return header


def _renamed(path: Path, endings: tuple[str, ...], into: tuple[str, ...], exists: Exists) -> Path:
    """The other file of a pair: packed if it exists so and not otherwise."""
    stem = path.name[: -max(len(it) for it in endings if path.name.lower().endswith(it))]
    upper = path.name[len(stem) :].isupper()
    candidates = [path.with_name(stem + (it.upper() if upper else it)) for it in into]
    return next((it for it in candidates if exists(it)), candidates[0])
