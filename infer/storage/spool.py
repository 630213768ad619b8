"""Scans of a store, on this machine while they are scored and no longer."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeAlias

from infer.digest import digest
from infer.errors import BadOutputError, StoreError, UnreadableScanError
from infer.readers.choice import Choice
from infer.readers.picture_header import refuse_large_file
from infer.readers.reading import ENDINGS, PICTURES, WITHOUT_HEADER
from infer.readers.source import Source
from infer.storage.address import STEPS
from infer.storage.store import fetch, object_at
from infer.storage.stored import Stored

AT_ONCE = 8  # objects that a worker fetches at a time: each is mostly waited for
_LONGEST_NAME = 200  # bytes; file systems take 255, stores 1024

Here: TypeAlias = Callable[[Source], Source]


@contextlib.contextmanager
def fetching(
    sources: Sequence[Source], choice: Choice, spool: Path | None = None
) -> Iterator[Here]:
    """What gives each of these scans with its files on this machine, as soon as they are.

    They lie in a folder of the system's, or of `spool`, and are gone afterwards. What gives a scan
    raises UnreadableScanError where it cannot be fetched, or is a picture that is too large for
    `choice`, which is known without it; of others, the header is here then.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(_folder_in(spool)))
        pool = ThreadPoolExecutor(AT_ONCE)
        stack.callback(pool.shutdown, cancel_futures=True)
        stored = [source for source in sources if source.stored]
        coming = {
            source: [
                pool.submit(_fetch, it, folder / str(at) / _place(source, number), choice)
                for number, it in enumerate(source.stored)
            ]
            for at, source in enumerate(stored)
        }
        yield partial(_given, coming)


def _folder_in(spool: Path | None) -> tempfile.TemporaryDirectory[str]:
    # What a worker that was killed has left in the spool goes with it.
    return tempfile.TemporaryDirectory(prefix="uad-scans-", dir=spool, ignore_cleanup_errors=True)


def _given(coming: dict[Source, list["Future[Path]"]], source: Source) -> Source:
    if not source.stored:
        return source
    paths = tuple(it.result() for it in coming[source])
    return source._replace(path=paths[0], series=paths if source.series else ())


def _place(source: Source, number: int) -> str:
    """Files of one series may share a name, header and voxels of a pair must share a folder."""
    name = _name(source.stored[number].address.name)
    return f"{number}/{name}" if source.series else name


def _name(name: str) -> str:
    """As in the store, if that can be a file's name here; what a name ends in says its format."""
    if len(name.encode(errors="surrogateescape")) <= _LONGEST_NAME and os.name != "nt":
        return name
    lower = name.lower()
    endings = sorted((*ENDINGS, *WITHOUT_HEADER), key=len, reverse=True)
    ending = next((it for it in endings if lower.endswith(it)), "")
    stem = name[: len(name) - len(ending)]
    return digest(stem.encode(errors="surrogateescape"))[:16] + ending


def _fetch(stored: Stored, to: Path, choice: Choice) -> Path:
    """The object's file.

    Raises:
        UnreadableScanError: it cannot be had as it was listed, or there is no room for it.
    """
    name = stored.address.name
    if set(stored.address.path.split("/")) & set(STEPS):
        raise UnreadableScanError(
            f"{name} cannot be fetched: a step of its address is . or ..",
            hint="libraries take that for another place: give it another name in the store",
        )
    if name.lower().endswith(PICTURES):
        refuse_large_file(stored.size, name, choice)
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(to.parent).free < stored.size:
            raise UnreadableScanError(
                f"{name} has {stored.size:,} bytes, more than the temporary folder has room for",
                hint="TMPDIR names another",
            )
        fetch(stored.address, to)
        is_same = object_at(stored.address) == stored and to.stat().st_size == stored.size
    except FileNotFoundError:
        is_same = False
    except (BadOutputError, StoreError, OSError) as error:
        raise UnreadableScanError(f"{name} could not be fetched: {error}") from None
    if not is_same:
        raise UnreadableScanError(
            f"{name} was changed or removed while it was fetched",
            hint="score it again when it is complete",
        )
    return to
