"""Which scans a folder of a store holds: as of a folder here, from one listing."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from infer.errors import ArchivedError, UnreadableScanError
from infer.output_folder import JOURNAL, OF_SCANS, OF_THE_RUN, SEGMENTS
from infer.readers.dicom_series import (
    SUFFIXES,
    Membership,
    grouped,
    memberships,
    series_names,
    unknown,
)
from infer.readers.discovery import LIST, is_scan
from infer.readers.nifti_file import HEADERS, VOXELS, files_of, header_of_pair
from infer.readers.source import Source
from infer.readers.sources import Sources
from infer.shelf import batched
from infer.storage.address import STEPS, Address, Place, refuse_web
from infer.storage.store import beginning_of, fetch, object_at, objects_in
from infer.storage.stored import Stored

AT_ONCE = 16  # headers that are looked at together
_BEGINNING, _DICOM = 132, b"DICM"  # how a DICOM file begins (PS3.10 7.1)

Objects: TypeAlias = Mapping[str, Stored]  # by name, relative to the folder


def find_stored(given: Address, *, without: Place) -> tuple[Sources, list[Path]]:
    """Every scan of a folder in a store, or the one that is given; and the names of what is none.

    Raises:
        UnknownChoiceError: it is on a web server.
        UnreadableScanError: a list is given.
        StoreError: the store cannot be reached, or refuses: scans would be missed.
    """
    refuse_web(given)
    alone = object_at(given)
    if alone is None:
        objects = _without_results(_below(given, objects_in(given)), given, without)
        return _found(objects, given, named=False)
    if given.name.lower().endswith(LIST):
        raise UnreadableScanError(
            f"{given} is in a store, where a list of scans is not read",
            hint="name the folder of the scans",
        )
    return _found(_with_its_pair(alone), given.parent, named=True)


def _below(folder: Address, objects: Iterable[Stored]) -> dict[str, Stored]:
    """By name; without what is hidden."""
    named = {it.address.path.removeprefix(f"{folder.path}/"): it for it in objects}
    return {name: it for name, it in named.items() if not any(map(_hides, name.split("/")))}


def _hides(step: str) -> bool:
    return step.startswith(".") and step not in (*STEPS, JOURNAL, SEGMENTS)


def _without_results(objects: Objects, folder: Address, out: Place) -> dict[str, Stored]:
    """Without what earlier runs wrote among the scans, or into `out`."""
    ours = {JOURNAL, SEGMENTS}
    steps = {name: name.split("/") for name in objects}
    roots = {
        "/".join(it[:at]) for it in steps.values() for at, step in enumerate(it) if step in ours
    }
    places = {
        f"{root}/{name}".removeprefix("/") for root in roots for name in (*OF_SCANS, *OF_THE_RUN)
    }

    def is_result(name: str) -> bool:
        own = steps[name]
        begins = ("/".join(own[: at + 1]) for at in range(len(own)))
        is_out = isinstance(out, Address) and out != folder and (folder / name).is_within(out)
        return is_out or bool(ours & set(own)) or any(it in places for it in begins)

    return {name: it for name, it in objects.items() if not is_result(name)}


def _with_its_pair(stored: Stored) -> dict[str, Stored]:
    """A scan with the other file of a NIfTI pair, if it is one."""
    name, folder = stored.address.name, stored.address.parent
    objects = {name: stored}

    def exists(path: Path) -> bool:
        if path.name not in objects and (found := object_at(folder / path.name)):
            objects[path.name] = found
        return path.name in objects

    if name.lower().endswith(VOXELS):
        exists(header_of_pair(Path(name), exists))
    if name.lower().endswith(HEADERS):
        files_of(Path(name), exists)
    return objects


def _found(objects: Objects, folder: Address, *, named: bool) -> tuple[Sources, list[Path]]:
    """`named`: they were asked for one by one, so they are scans even if nobody can read them."""
    others = {name: it for name, it in objects.items() if not is_scan(PurePosixPath(name).name)}
    known = {name: it for name, it in objects.items() if name not in others}
    scans = Sources(_known(known))
    # Where names are paths: a place that no machine has.
    root = Path("/", folder.scheme, *folder.path.split("/"))
    found = grouped(_memberships(others, root))
    for name, series in series_names(found, root, taken=scans).items():
        files = tuple(file.relative_to(root) for file in series.files)
        stored = tuple(others[file.as_posix()] for file in files)
        scans.add([(name, Source(files[0], files, stored, series.known_by(root)))])
    seen = {file.relative_to(root).as_posix() for series in found for file in series.files}
    strangers = [name for name in others if name not in seen]
    left = []
    for name in strangers:
        path, stored = Path(name), (others[name],)
        if name.lower().endswith(SUFFIXES):
            scans.add([(name, Source(path, (path,), stored))])
        elif named:
            scans.add([(name, Source(path, stored=stored))])
        else:
            left.append(path)
    return scans, left


def _known(objects: Objects) -> Iterator[tuple[str, Source]]:
    """Those that our readers know by their endings; a NIfTI pair by its header."""

    def exists(path: Path) -> bool:
        return path.as_posix() in objects

    for name, stored in objects.items():
        path = Path(name)
        if name.lower().endswith(VOXELS) and exists(header_of_pair(path, exists)):
            continue
        pair = [it.as_posix() for it in files_of(path, exists)[1:] if exists(it)]
        yield name, Source(path, stored=(stored, *(objects[it] for it in pair)))


def _memberships(others: Objects, root: Path) -> Iterator[Membership]:
    """Of those that are DICOM: each is fetched for its header, a few at a time."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for some in batched(others.items()):
            for found in pool.map(partial(_membership, root=root), some):
                yield from found


def _begins_as_dicom(stored: Stored) -> bool:
    # Of an object shorter than that, stores refuse the range.
    if stored.size < _BEGINNING:
        return False
    return beginning_of(stored.address, _BEGINNING).endswith(_DICOM)


def _membership(item: tuple[str, Stored], root: Path) -> list[Membership]:
    name, stored = item
    steps = name.split("/")
    if set(steps) & {*STEPS, ""}:
        return []  # no path has such a name: it belongs to no series
    file = root.joinpath(*steps)
    try:
        if not name.lower().endswith(SUFFIXES) and not _begins_as_dicom(stored):
            return []
        with tempfile.TemporaryDirectory(prefix="uad-header-") as folder:
            if shutil.disk_usage(folder).free < stored.size:
                return [unknown(file)]  # its row will say that there is no room for it
            here = Path(folder) / f"header{SUFFIXES[0]}"
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile: its row will say so
                fetch(stored.address, here)
            found = memberships([here])
    except ArchivedError:
        # One failed row, which will say why; nothing, if its ending is of other files. A store that
        # is away or wants other keys is no such thing: series would lose slices.
        may_be_one = name.lower().endswith(SUFFIXES) or not file.suffix
        return [unknown(file)] if may_be_one else []
    return [
        it._replace(file=file, key=tuple(str(file) if key == str(here) else key for key in it.key))
        for it in found
    ]
