"""Find scans in a folder, and read each with the reader of its format."""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from infer.digest import digest, digest_of
from infer.errors import UnreadableScanError
from infer.output_folder import JOURNAL, OF_SCANS
from infer.readers.source import Source
from infer.volume import Volume

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
VOLUMES = (".nii", ".nii.gz")


def read(path: Path) -> Volume:
    """One scan in memory; of a folder, the one DICOM series that it holds.

    Raises:
        UnreadableScanError: it is not the image it claims to be, or not one we can take.
    """
    if path.is_dir():
        return read_series(_only_series(path))[0]
    with _in_words(path):
        return _reader(path)(path)


def read_with_digest(path: Path) -> tuple[Volume, str]:
    """One scan in memory, and the digest of its file; a picture's file is read only once.

    Raises:
        UnreadableScanError: it is not the image it claims to be, or not one we can take.
    """
    with _in_words(path):
        if not path.name.lower().endswith(PICTURES):
            return _reader(path)(path), digest_of(path)
        from infer.readers import image

        content = path.read_bytes()
        return image.decode(content, path.name), digest(content)


def read_series(files: Sequence[Path]) -> tuple[Volume, str]:
    """A DICOM series in memory, and the digest of its files.

    Raises:
        UnreadableScanError: it is not one volume, or damaged.
    """
    from infer.readers import dicom

    try:
        return dicom.read(files)
    except OSError as error:
        name = Path(error.filename or files[0]).name
        raise UnreadableScanError(
            f"{name} could not be opened: {error.strerror or error}"
        ) from error


def is_scan(name: str) -> bool:
    """Whether a file of this name is one we read."""
    return not name.startswith(".") and name.lower().endswith(PICTURES + VOLUMES)


def find_sources(folder: Path, *, without: Path | None = None) -> dict[str, Source]:
    """Every scan under `folder` by the name it has in reports, DICOM series among them, sorted.

    The name is the path relative to `folder`; of a DICOM series see `dicom_series`. What lies under
    `without` is left out. Only files whose ending says nothing known are opened to look for DICOM.

    Raises:
        UnreadableScanError: a folder may not be listed, so scans would be missed.
    """
    root = folder if folder.is_dir() else folder.parent
    if folder.is_dir():
        files = _walk(folder, root=folder.resolve(), seen=set(), wanted=_is_visible)
        if without is not None and without.is_relative_to(root.absolute()):
            files = (path for path in files if not path.absolute().is_relative_to(without))
    else:
        files = iter([folder])
    known: list[Path] = []
    others: list[Path] = []
    for path in files:
        (known if is_scan(path.name) else others).append(path)
    sources = {path.relative_to(root).as_posix(): Source(path) for path in known}
    if others:
        from infer.readers.dicom_series import find_series, series_names

        named = series_names(find_series(others), root, taken=sources)
        sources |= {name: Source(it.files[0], it.files) for name, it in named.items()}
    if not sources and not folder.is_dir():
        sources = {folder.name: Source(folder)}  # its reader says why it is none
    return dict(sorted(sources.items(), key=lambda item: item[1].path))


def find_scans(folder: Path) -> list[Path]:
    """Every scan of one file under `folder`, sorted by path; `[folder]` where it is a file itself.

    Hidden files and folders are left out, and the masks and overlays of earlier runs. Linked
    folders are followed, each folder once.

    Raises:
        UnreadableScanError: a folder may not be listed, so scans would be missed.
    """
    if not folder.is_dir():
        return [folder]
    return sorted(_walk(folder, root=folder.resolve(), seen=set(), wanted=is_scan))


def _is_visible(name: str) -> bool:
    return not name.startswith(".")


@contextlib.contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """What the system says of a file, as a reason that a row can give."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block us for ever
            raise UnreadableScanError(f"{path.name} is not a file")
        yield
    except OSError as error:
        raise UnreadableScanError(
            f"{path.name} could not be opened: {error.strerror or error}"
        ) from error


def _reader(path: Path) -> Callable[[Path], Volume]:
    name = path.name.lower()
    if name.endswith(PICTURES):
        from infer.readers import image

        return image.read
    if name.endswith(VOLUMES):
        from infer.readers import nifti

        return nifti.read
    from infer.readers.dicom_series import may_be_dicom

    if may_be_dicom(path):
        return lambda file: read_series([file])[0]
    raise UnreadableScanError(
        f"{path.name} has an ending that is not known here",
        hint=f"scans are DICOM, or end in {', '.join(PICTURES + VOLUMES)}",
    )


def _only_series(folder: Path) -> tuple[Path, ...]:
    found = [source.series for source in find_sources(folder).values() if source.series]
    if len(found) != 1:
        raise UnreadableScanError(
            f"{folder.name} holds {len(found)} DICOM series, not one",
            hint="name the folder of one series, or a file",
        )
    return found[0]


def _walk(
    folder: Path, *, root: Path, seen: set[Path], wanted: Callable[[str], bool]
) -> Iterator[Path]:
    seen.add(folder.resolve())
    entries = _entries(folder)
    skipped = OF_SCANS if any(entry.name == JOURNAL for entry in entries) else ()
    for entry in entries:
        if _is_folder(entry):
            if entry.name not in skipped and _is_to_be_entered(entry, root, seen):
                yield from _walk(Path(entry), root=root, seen=seen, wanted=wanted)
        # A broken link is a scan that cannot be read; a pipe or device would block the reader.
        elif wanted(entry.name) and (entry.is_symlink() or entry.is_file()):
            yield Path(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise UnreadableScanError(
            f"the folder {folder} cannot be listed: {error.strerror}", hint="may you read it?"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Of a link that leads to itself, `entry` would raise where `Path` says no.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and Path(entry).is_dir())


def _is_to_be_entered(entry: os.DirEntry[str], root: Path, seen: set[Path]) -> bool:
    if entry.name.startswith("."):
        return False
    target = Path(entry).resolve()
    if entry.is_symlink() and (target.is_relative_to(root) or root.is_relative_to(target)):
        return False  # met on its own way, or a loop that would also lead to our neighbours
    return target not in seen
