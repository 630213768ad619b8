"""Read each scan with the reader of its format."""

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

from infer.digest import digest, digest_of, digest_of_files
from infer.errors import UnreadableScanError
from infer.readers.choice import USUAL, Choice
from infer.readers.claim import Claim
from infer.readers.source import Source
from infer.storage.stored import version_of
from infer.volume import Volume

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
ARRAYS = (".npy",)
VOLUMES = (".nii", ".nii.gz", ".hdr", ".hdr.gz")
ENDINGS = PICTURES + VOLUMES + ARRAYS
WITHOUT_HEADER = (".img", ".img.gz")  # the other file of a NIfTI pair, which is called after .hdr
# Formats in which one file may be one slice or many: its header says.
_OF_EITHER = (".tif", ".tiff", *ARRAYS)


def read(path: Path, choice: Choice = USUAL) -> Volume:
    """One scan in memory; of a folder, the one DICOM series that it holds.

    Raises:
        UnreadableScanError: it is not the image it claims to be, or not one we can take.
    """
    if path.is_dir():
        return read_series(_only_series(path), choice)[0]
    with in_words(path):
        return _format(path).read(path, choice)


def read_with_digest(path: Path, choice: Choice = USUAL) -> tuple[Volume, str]:
    """One scan in memory, and the digest of its files; a picture's file is read only once.

    Raises:
        UnreadableScanError: it is not the image it claims to be, or not one we can take.
    """
    with in_words(path):
        if not path.name.lower().endswith(PICTURES):
            before = _stamps(path)
            found = _format(path).read(path, choice), digest_of_scan(Source(path))
            if _stamps(path) != before:  # the digest may be of what was not read
                raise UnreadableScanError(
                    f"{path.name} was changed while it was read",
                    hint="score it again when it is complete",
                )
            return found
        from infer.readers import image

        content = image.content_of(path, choice)
        return image.decode(content, path.name, choice), digest(content)


def _stamps(path: Path) -> list[tuple[int, int]]:
    """When each file of a scan was changed last, and its size."""
    from infer.readers.nifti_file import files_of

    return [(it.st_mtime_ns, it.st_size) for it in map(os.stat, files_of(path))]


def read_series(files: Sequence[Path], choice: Choice = USUAL) -> tuple[Volume, str]:
    """A DICOM series in memory, and the digest of its files.

    Raises:
        UnreadableScanError: it is not one volume, damaged, or too large.
    """
    from infer.readers import dicom

    with in_words(files[0]):
        return dicom.read(files, choice)


def digest_of_scan(source: Source) -> str:
    """The digest of all files of a scan; empty if one cannot be read.

    Of a scan in a store, of what the store says of its objects' versions: nothing is fetched.
    """
    if source.stored:
        return version_of(source.stored)
    if source.series:
        return digest_of_files(source.series)
    if source.path.name.lower().endswith((".hdr", ".hdr.gz")):
        from infer.readers.nifti_file import files_of

        return digest_of_files(files_of(source.path))
    return digest_of(source.path)


def claim_of(source: Source, choice: Choice) -> Claim:
    """What would be read, by headers alone.

    Raises:
        UnreadableScanError: it would be refused; what only the voxels can tell is not known yet.
    """
    with in_words(source.path):
        if source.series:
            return _claim_of_series(source.series, choice)
        return _format(source.path).claim_of(source.path, choice)


def is_one_slice(source: Source) -> bool:
    """Whether this scan is a single slice, as far as can be told without its voxels."""
    name = source.path.name.lower()
    if source.series or not name.endswith(PICTURES + ARRAYS):
        return False
    if not name.endswith(_OF_EITHER):
        return True
    if source.stored:  # its header is not here
        return False
    try:
        return len(claim_of(source, USUAL).shape) == 2
    except Exception:  # whatever it is, read with others it will say why
        return True


@contextlib.contextmanager
def in_words(path: Path) -> Iterator[None]:
    """What the system says of a file, as a reason that a row can give."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UnreadableScanError(f"{path.name} is a folder without scans")
        if not stat.S_ISREG(mode):  # a pipe would block us for ever
            raise UnreadableScanError(f"{path.name} is not a file")
        yield
    except OSError as error:
        # Of a scan of several files, it may be another than the first.
        name = Path(error.filename).name if isinstance(error.filename, str) else path.name
        raise UnreadableScanError(
            f"{name} could not be opened: {error.strerror or error}"
        ) from error


def _claim_of_series(files: Sequence[Path], choice: Choice) -> Claim:
    from infer.readers.dicom import open_stack

    stack = open_stack(files, choice)
    kind = f"uint{max(8, stack.slices[0][0].bits)}"
    return Claim("DICOM", stack.shape, kind, colours=stack.colours, warnings=stack.warnings)


@runtime_checkable
class _Reader(Protocol):
    """The module of a format."""

    def claim_of(self, path: Path, choice: Choice) -> Claim: ...
    def read(self, path: Path, choice: Choice) -> Volume: ...


class _LoneDicom:
    """A DICOM file by itself."""

    def claim_of(self, path: Path, choice: Choice) -> Claim:
        return _claim_of_series([path], choice)

    def read(self, path: Path, choice: Choice) -> Volume:
        return read_series([path], choice)[0]


def _format(path: Path) -> _Reader:
    name = path.name.lower()
    if name.endswith(PICTURES):
        from infer.readers import image

        return image
    if name.endswith(VOLUMES):
        from infer.readers import nifti

        return nifti
    if name.endswith(ARRAYS):
        from infer.readers import array

        return array
    if name.endswith(WITHOUT_HEADER):
        raise UnreadableScanError(f"{path.name} lacks its header, which is a file of its own: .hdr")
    from infer.readers.dicom_series import may_be_dicom

    if may_be_dicom(path):
        return _LoneDicom()
    raise UnreadableScanError(
        f"{path.name} has an ending that is not known here, and is not DICOM",
        hint=f"scans are DICOM, or end in {', '.join(ENDINGS)}",
    )


def _only_series(folder: Path) -> tuple[Path, ...]:
    from infer.readers.discovery import find_sources

    found = [source.series for source in find_sources(folder).values() if source.series]
    if len(found) != 1:
        raise UnreadableScanError(
            f"{folder.name} holds {len(found)} DICOM series, not one",
            hint="name the folder of one series, or a file",
        )
    return found[0]
