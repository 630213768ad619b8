"""The header of one DICOM file, read without its pixels and without a word about the patient.

Whatever pydicom says of a damaged file may quote the file, and so a name: its warnings and log are
silenced, and its errors are replaced by sentences of ours.
"""

import contextlib
import logging
import re
import stat
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from infer.errors import UnreadableScanError

Dataset: TypeAlias = Any  # pydicom's, which is not imported before a DICOM file is met

DAMAGED = "it was probably cut off or damaged while copying: copy or export it again"
_PREAMBLE = 128  # bytes, followed by DICM (DICOM PS3.10, 7.1)
# Where the whole file may be compressed, the few first bytes say so; they are never compressed.
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_META_BYTES = 4096
_LOADING = threading.Lock()
DIRECTORY = "1.2.840.10008.1.3.10"  # DICOMDIR: an index of other files


def is_dicom(path: Path) -> bool:
    """Whether a file says of itself that it is DICOM.

    One that cannot be read counts as DICOM if its name has no ending, as theirs often have: its
    reader will say why it cannot.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block us for ever
            return False
        with path.open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == b"DICM"
    except OSError:
        return not path.suffix


def header_of(path: Path, tags: Sequence[str] | None) -> Dataset:
    """Those of the tags (None: all) that the file has, and its transfer syntax; no pixels.

    Raises:
        UnreadableScanError: it is not DICOM, damaged, or compressed as a whole.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnreadableScanError(f"{path.name} is not a file")
    with path.open("rb") as file:
        _check_start(file.read(_META_BYTES), path.name)
        file.seek(0)
        with reading(path.name):
            return _pydicom().dcmread(
                file,
                stop_before_pixels=True,
                specific_tags=None if tags is None else list(tags),
            )


def dataset_in(content: Any, name: str) -> Dataset:
    """A whole file, pixels as they are stored, of a binary stream."""
    _check_start(content.read(_META_BYTES), name)
    content.seek(0)
    with reading(name):
        return _pydicom().dcmread(content)


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Whatever goes wrong in pydicom, in words that name the file and quote nothing of it."""
    try:
        yield
    except (UnreadableScanError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # of the disk, not pydicom's own
            raise
        # Not chained: the traceback of the original would quote the file.
        raise UnreadableScanError(
            f"{name} is not valid DICOM, or it is damaged ({type(error).__name__})", hint=DAMAGED
        ) from None


def _check_start(start: bytes, name: str) -> None:
    if not start:
        raise UnreadableScanError(f"{name} is empty (0 bytes)", hint=DAMAGED)
    if start[_PREAMBLE : _PREAMBLE + 4] != b"DICM":
        raise UnreadableScanError(
            f"{name} is not a DICOM file, whatever its name says: it lacks the word DICM",
            hint="export it again, or remove it from the folder",
        )
    if _DEFLATED in start:
        raise UnreadableScanError(
            f"{name} is compressed as a whole (deflated), which says nothing of its real size",
            hint="export it uncompressed, or with compressed pixels",
        )


def silence(library: str) -> None:
    """Let a library neither warn nor log: it may quote what stands in a file."""
    logging.getLogger(library).setLevel(logging.CRITICAL)
    # Added once: other threads may be looking through the filters.
    words = re.compile(library)
    if not any(pattern == words for _, _, _, pattern, _ in warnings.filters):
        warnings.filterwarnings("ignore", module=library)


@contextlib.contextmanager
def without_pydicom() -> Iterator[None]:
    """Nothing imported here finds pydicom, unless it is loaded already.

    nibabel would load it, for a header extension that nobody here reads: a quarter of a second.
    """
    with _LOADING:
        if "pydicom" in sys.modules:
            yield
            return
        sys.modules["pydicom"] = None  # type: ignore[assignment]
        try:
            yield
        finally:
            del sys.modules["pydicom"]


def _pydicom() -> Any:
    with _LOADING:
        import pydicom

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    silence("pydicom")
    return pydicom
