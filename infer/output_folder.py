"""The folder a run writes to: claimed by one run at a time; nothing lost that is not ours."""

import contextlib
import errno
import json
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO

from infer.errors import BadOutputError
from infer.journal import Entries, Entry
from infer.writers.atomic import in_words, write_bytes

REPORT = "report.csv"
SLICES = "slices.csv"
PAGE = "report.html"
RUN = "run.json"
LOG = "uad-infer.log"
MASKS = "masks"
MAPS = "maps"
OVERLAYS = "overlays"
SEGMENTATIONS = "segmentations"
OF_SCANS = (MASKS, MAPS, OVERLAYS, SEGMENTATIONS)  # folders that mirror the scans
OF_THE_RUN = (REPORT, SLICES, PAGE, RUN, LOG)
JOURNAL = ".uad-journal.jsonl"  # also what tells our folder from anybody else's
SEGMENTS = ".uad-journal"  # the same in object storage, which cannot append: a folder of pieces
LOCK = ".uad-lock"
# What the system says of a lock that another process holds; Windows says the second.
_HELD = (errno.EWOULDBLOCK, errno.EACCES)


def refuse_harmful(out: Path, folder: Path) -> None:
    """See that writing to `out` cannot touch the scans.

    Raises:
        BadOutputError: it could, or what is there was not made by us.
    """
    target, source = out.resolve(), folder.resolve()
    ours = [target / name for name in OF_SCANS]
    if target == source or any(source.is_relative_to(place) for place in ours):
        raise BadOutputError(
            f"{out} cannot take the results: the scans themselves are there",
            hint="choose another --out",
        )
    refuse_foreign(out)
    if is_merged(out):
        raise BadOutputError(
            f"{out} holds a merged report, which a run would replace", hint="choose another --out"
        )


def is_merged(out: Path) -> bool:
    """Whether what is there is the joined report of several runs."""
    try:
        return "merged" in json.loads((out / RUN).read_text(errors="replace"))
    except (OSError, ValueError, TypeError):
        return False


def refuse_own_results(out: Path, scans: Iterable[Path]) -> None:
    """See that no scan lies where the results of this run go.

    Raises:
        BadOutputError: one does.
    """
    ours = [out.resolve() / name for name in OF_SCANS]
    for folder in {scan.parent for scan in scans}:
        if any(folder.resolve().is_relative_to(place) for place in ours):
            raise BadOutputError(
                f"{out} cannot take the results: scans to be scored lie among them, in {folder}",
                hint="choose another --out",
            )


def refuse_foreign(out: Path) -> None:
    """See that writing to `out` replaces nothing that is not ours.

    Raises:
        BadOutputError: it would.
    """
    with in_words(out):
        if out.exists() and not out.is_dir():
            raise BadOutputError(f"{out} is a file, not a folder", hint="choose another --out")
        foreign = [name for name in (*OF_THE_RUN, *OF_SCANS) if (out / name).exists()]
        is_ours = (out / JOURNAL).exists()
    if foreign and not is_ours:
        raise BadOutputError(
            f"{out} holds a {foreign[0]} that uad-infer did not make", hint="choose another --out"
        )


@contextlib.contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold the folder for this run; the system lets go of it however the run ends.

    Raises:
        BadOutputError: another run holds it, or it cannot be written.
    """
    with in_words(out):
        out.mkdir(parents=True, exist_ok=True)
        lock = (out / LOCK).open("a")
    with lock:
        if not _locked(lock, out):
            raise BadOutputError(
                f"another uad-infer is writing to {out}",
                hint="wait for it to end, or choose another --out",
            )
        with in_words(out):
            (out / JOURNAL).touch()
            _remove_partial(out)
        yield


def refuse_claimed(out: Path) -> None:
    """See that no run writes to a folder of results.

    Raises:
        BadOutputError: one does.
    """
    with contextlib.suppress(FileNotFoundError), (out / LOCK).open() as lock:
        if not _locked(lock, out, shared=True):
            raise BadOutputError(f"an uad-infer is writing to {out}", hint="wait for it to end")


def refuse_moved(out: Path) -> None:
    """See that a folder that is claimed is where it was.

    Raises:
        BadOutputError: it is not; what was written last may have made another in its place.
    """
    if not (out / LOCK).exists():
        raise BadOutputError(
            f"{out} was moved or removed while results were written to it",
            hint="move it back, over what lies there now; then the same command goes on",
        )


def case_matters(out: Path) -> bool:
    """Does this file system tell `A` from `a`? (The folder must be claimed.)"""
    return not (out / JOURNAL.upper()).exists()


def start_afresh(out: Path) -> None:
    """Remove what earlier runs made here, and nothing else.

    Raises:
        BadOutputError: it cannot be removed.
    """
    with in_words(out):
        for entry in Entries.read(out / JOURNAL):
            remove_outputs(out, entry)
        for name in OF_THE_RUN:
            (out / name).unlink(missing_ok=True)
        # Emptied, never absent: killed without it, the folder would be anybody's.
        write_bytes(out / JOURNAL, b"")
        for name in OF_SCANS:
            remove_empty(out / name)


def remove_run(out: Path) -> None:
    """Remove the record of an earlier run, and its page.

    Were this one killed, they would speak for what is gone.

    Raises:
        BadOutputError: it cannot be removed.
    """
    for name in (RUN, PAGE):
        with in_words(out / name):
            (out / name).unlink(missing_ok=True)


def remove_outputs(out: Path, entry: Entry, *, keep: Collection[str] = ()) -> None:
    """Remove a scan's mask, map and overlay, except those in `keep`."""
    root = out.resolve()
    for name in entry.outputs.keys() - set(keep):
        path = out / name
        # A journal is a file like any other: it must not lead us outside.
        if path.parent.resolve().is_relative_to(root):
            with in_words(path):
                path.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove a tree of empty folders; folders that hold anything stay."""
    if folder.is_dir() and not folder.is_symlink():
        for child in folder.iterdir():
            remove_empty(child)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _remove_partial(out: Path) -> None:
    """Remove what a killed run was writing."""
    for place in OF_SCANS:
        for path in (out / place).rglob(".*.part"):
            path.unlink(missing_ok=True)


def _locked(file: IO[str], out: Path, *, shared: bool = False) -> bool:
    """Lock the folder's file; no, if another run holds it.

    Raises:
        BadOutputError: its file system has no locks, as some of clusters have not.
    """
    try:
        _lock(file, shared=shared)
    except OSError as error:
        if error.errno in _HELD:
            return False
        raise BadOutputError(
            f"{out} cannot be locked: {error.strerror or error}",
            hint="its file system lacks locks, which keep runs apart: choose an --out elsewhere",
        ) from error
    return True


def _lock(file: IO[str], *, shared: bool = False) -> None:
    """Lock a file without waiting; released when the process ends, even when it is killed."""
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
    else:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
