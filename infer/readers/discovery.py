"""Which scans an input names: a file, all of a folder, or those that a text file lists."""

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from infer.errors import UnreadableScanError
from infer.output_folder import JOURNAL, OF_SCANS, OF_THE_RUN
from infer.presence import is_file, is_folder, is_there
from infer.readers import left_out
from infer.readers.reading import ENDINGS, WITHOUT_HEADER
from infer.readers.source import Source
from infer.readers.sources import Sources
from infer.storage.address import Address, Place, place_of

LIST = ".txt"
_LONGEST_LIST = 2**28  # bytes: millions of paths


class Found(NamedTuple):
    """What an input names."""

    scans: Sources  # by the name that each has in reports, in the order of their places
    left_out: dict[str, int]  # files that are no scans known here: ending → how many


def scans_in(given: Place, out: Place) -> Found:
    """What a run is to score; results of an earlier run into `out` are no scans. See below.

    Raises:
        UnreadableScanError: there is nothing.
        StoreError: a store cannot be reached, or refuses.
    """
    if isinstance(given, Address):
        from infer.storage.scans import find_stored

        scans, others = find_stored(given, without=out)
        found = Found(scans, left_out.count(others))
    else:
        _refuse_absent(given)
        found = find(given, without=out.absolute() if isinstance(out, Path) else None)
    if not found.scans:
        what = "lists" if isinstance(given, Path) and given.is_file() else "holds"
        left = left_out.in_words(found.left_out)
        raise UnreadableScanError(
            f"{given} {what} no scans" + (f" ({left})" if left else ""),
            hint=f"scans are DICOM, or end in {', '.join(ENDINGS)}",
        )
    return found


def _refuse_absent(given: Path) -> None:
    try:
        given.stat()
    except FileNotFoundError as error:
        raise UnreadableScanError(
            f"{given} does not exist", hint="FOLDER is where the scans are"
        ) from error
    except (OSError, ValueError) as error:  # not to be entered, a name that no system takes
        said = getattr(error, "strerror", None) or error
        raise UnreadableScanError(
            f"{given} cannot be opened: {said}", hint="FOLDER is where the scans are"
        ) from error


def home_of(given: Place) -> str:
    """What the names of scans are relative to: the folder, or that of the list or of the scan."""
    if isinstance(given, Address):
        return str(given)
    return str((given if is_folder(given) else given.parent).resolve())


def find_sources(given: Path, *, without: Path | None = None) -> dict[str, Source]:
    """Every scan that an input names; see `find`."""
    return dict(find(given, without=without).scans.items())


def find(given: Path, *, without: Path | None = None) -> Found:
    """Every scan that an input names, and what else there is.

    `given` is a folder, a text file that lists paths, or one scan. The name is the path relative to
    the folder or the list; of a DICOM series see `dicom_series`. What lies under `without` is left
    out. Only files whose ending says nothing known are opened to look for DICOM.

    Raises:
        UnreadableScanError: a folder may not be listed, so scans would be missed; or a bad list.
    """
    if is_folder(given):
        files = _without(without, _walk(given), given)
        scans, others = _grouped(files, given)
    elif given.name.lower().endswith(LIST):
        scans, others = _listed(given, without)
    else:
        scans, others = _grouped([given], given.parent, named={given})
    return Found(scans, left_out.count(others, is_empty=_is_empty))


def find_scans(folder: Path) -> list[Path]:
    """Every scan under `folder` that is a file of its own, sorted by path; see `is_scan`.

    `[folder]` where it is a file itself. Hidden files and folders are left out, and the results of
    earlier runs. Linked folders are followed, each folder once.

    Raises:
        UnreadableScanError: a folder may not be listed, so scans would be missed.
    """
    if not folder.is_dir():
        return [folder]
    return sorted(set(_without_voxels(path for path in _walk(folder) if is_scan(path.name))))


def is_scan(name: str) -> bool:
    """Whether a file of this name is one that we read, by its ending."""
    return not name.startswith(".") and name.lower().endswith(ENDINGS + WITHOUT_HEADER)


def _listed(given: Path, without: Path | None) -> tuple[Sources, list[Path]]:
    """The scans of a list, and files that are none.

    Each line is a file or a folder, relative to the list itself.
    """
    home = Path(os.path.normpath(given.parent.absolute()))
    found: list[Path] = []
    named: set[Path] = set()
    for path in _paths_in(given):
        inside = list(_without(without, _walk(path), path)) if is_folder(path) else []
        found += inside or [path]
        named |= set() if inside else {path}
    within = [path for path in dict.fromkeys(found) if path.is_relative_to(home)]
    outside = [path for path in dict.fromkeys(found) if not path.is_relative_to(home)]
    scans, others = _grouped(within, home, named=named)
    elsewhere, further = _grouped(outside, Path(home.absolute().anchor), named=named)
    for name, source in elsewhere.items():
        if name in scans:
            raise UnreadableScanError(
                f"{given.name} names two scans whose results would both be called {name}",
                hint="score one of them in a run of its own",
            )
        scans.add([(name, source)])
    return scans, others + further


def _paths_in(given: Path) -> Iterator[Path]:
    if given.stat().st_size > _LONGEST_LIST:
        raise UnreadableScanError(
            f"{given} is too long to be a list of scans", hint="list a folder, or make several"
        )
    # Names that are not UTF-8 come back as the file system has them.
    text = given.read_text(encoding="utf-8-sig", errors="surrogateescape")
    if "\0" in text:
        raise UnreadableScanError(f"{given} is not a text file", hint="one path a line")
    for line in text.split("\n"):  # and nowhere else: names may hold what Unicode calls a line end
        path = line.strip(" \t\r")
        if path and not path.startswith("#"):
            if isinstance(place_of(path), Address):
                raise UnreadableScanError(
                    f"{given} lists an address of object storage, {path}",
                    hint="list files of this machine; or give the address of the folder as FOLDER",
                )
            # Without `..`, so that no result is written outside of its folder.
            yield Path(os.path.normpath(given.parent.absolute() / path))


def _grouped(
    files: Iterable[Path], root: Path, *, named: Collection[Path] = ()
) -> tuple[Sources, list[Path]]:
    """Files by name, those without an ending of ours by series, if they are DICOM; and all others.

    `named`: those that were asked for one by one, so they are scans even if nobody can read them.
    """
    others: list[Path] = []

    def known() -> Iterator[Path]:
        for path in files:
            if is_scan(path.name) or (path in named and not is_file(path)):
                yield path
            else:
                others.append(path)

    scans = Sources((_name(path, root), Source(path)) for path in _without_voxels(known()))
    strangers: list[Path] = []
    if others:
        from infer.readers.dicom_series import find_series, series_names

        found = find_series(others)
        for name, series in series_names(found, root, taken=scans).items():
            key = series.known_by(root)
            scans.add([(name, Source(series.files[0], series.files, series_key=key))])
        grouped = {file for series in found for file in series.files}
        strangers = [path for path in others if path not in grouped]
        scans.add((_name(path, root), Source(path)) for path in strangers if path in named)
        strangers = [path for path in strangers if path not in named]
    return scans, strangers


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _without_voxels(paths: Iterable[Path]) -> Iterator[Path]:
    """A NIfTI pair by its header, once for each part; a part without the other as it is."""
    for path in paths:
        if path.name.lower().endswith(WITHOUT_HEADER):
            from infer.readers.nifti_file import header_of_pair

            header = header_of_pair(path)
            path = header if is_there(header) else path
        yield path


def _without(results: Path | None, files: Iterator[Path], folder: Path) -> Iterator[Path]:
    """The files of a folder but for those under `results`."""
    if results is None or not results.is_relative_to(folder.absolute()):
        return files
    return (path for path in files if not path.absolute().is_relative_to(results))


def _walk(folder: Path, root: Path | None = None, seen: set[Path] | None = None) -> Iterator[Path]:
    """All files that may be scans, or parts of one, as the system lists them."""
    root, seen = root or folder.resolve(), set() if seen is None else seen
    seen.add(folder.resolve())
    skipped = (*OF_SCANS, *OF_THE_RUN) if _holds_results(folder) else ()
    folders: list[os.DirEntry[str]] = []
    for entry in _entries(folder):
        if entry.name.startswith(".") or entry.name in skipped:
            continue
        if _is_folder(entry):
            folders.append(entry)
        # A broken link is a scan that cannot be read; a pipe or device would block the reader.
        elif entry.is_symlink() or entry.is_file():
            yield Path(entry)
    for entry in sorted(folders, key=lambda entry: entry.name):
        if _is_to_be_entered(entry, root, seen):
            yield from _walk(Path(entry), root, seen)


def _holds_results(folder: Path) -> bool:
    return is_there(folder / JOURNAL)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            yield from found
    except OSError as error:
        raise UnreadableScanError(
            f"the folder {folder} cannot be listed: {error.strerror}", hint="may you read it?"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Of a link that leads to itself, `entry` would raise where `Path` says no.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and is_folder(Path(entry)))


def _is_to_be_entered(entry: os.DirEntry[str], root: Path, seen: set[Path]) -> bool:
    target = Path(entry).resolve()
    if entry.is_symlink() and (_is_met_anyway(target, root) or root.is_relative_to(target)):
        return False  # met on its own way, or a loop that would also lead to our neighbours
    return target not in seen


def _is_met_anyway(target: Path, root: Path) -> bool:
    """Whether it lies below `root` on a way that is walked: in no hidden folder."""
    if not target.is_relative_to(root):
        return False
    return not any(step.startswith(".") for step in target.relative_to(root).parts)
