"""A folder that takes another's place when it is whole, so that nobody ever sees a part of it.

It lies beside the other and not in it: DVC removes a stage's outputs before the stage runs, and
what an interrupted run has read is to be gone on with.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from infer.errors import BadOutputError, UadError
from train.alone import alone_at
from train.data import IMAGES, SplitCase, Tables
from train.growing_store import GROWING


@contextmanager
def taking_the_place_of(folder: Path) -> Iterator[Path]:
    """A folder to fill. It is `folder` when all went well, and gone when the user made a mistake.

    A growing store that an earlier run had to leave in it, killed or for want of space, is there.

    Raises:
        UadError: another process fills it, and two would mix their images; or it is a link.
    """
    if folder.is_symlink():
        raise UadError(
            f"{folder} is a link, and what is prepared takes the place of a folder",
            hint=f"remove it, and link {folder.parent} itself to where there is room",
        )
    with alone_at(folder), _filled(folder) as partial:
        yield partial


@contextmanager
def _filled(folder: Path) -> Iterator[Path]:
    partial, old = partial_of(folder), folder.with_name(f".{folder.name}.old")
    if old.exists():  # a run was killed while the folders changed places
        if folder.exists():
            shutil.rmtree(old)
        else:
            old.rename(folder)
    for path in partial.iterdir() if partial.exists() else ():
        if path.name in (IMAGES, GROWING):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
    except BadOutputError:
        raise
    except UadError:
        shutil.rmtree(partial)
        raise
    # Not removed in its place: killed over that, half a folder would pass for a whole one.
    if folder.exists():
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def partial_of(folder: Path) -> Path:
    """Where what will become `folder` lies until it is whole."""
    return folder.with_name(f".{folder.name}.partial")


def path_in(folder: Path, path: Path) -> Path:
    """What a path is called when its folder has taken the place of `folder`."""
    partial = partial_of(folder)
    return folder / path.relative_to(partial) if path.is_relative_to(partial) else path


def tables_in(folder: Path, tables: Tables) -> Tables:
    """The same, with scans that were made in the unfinished folder named as they will be."""

    def named(it: SplitCase) -> SplitCase:
        mask = None if it.case.mask is None else path_in(folder, it.case.mask)
        return replace(it, case=replace(it.case, scan=path_in(folder, it.case.scan), mask=mask))

    return Tables(
        cases=[named(it) for it in tables.cases],
        rows=[replace(row, scan=path_in(folder, row.scan)) for row in tables.rows],
    )
