"""Cases → a store of their images: read on all cores, stored in the order of the cases.

However many scans there are, each worker holds one at a time, and this process none: images go by
way of a file from the worker that read them to the store, see `train.growing_store`.
"""

import itertools
import json
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

import infer
from infer.cores import cores
from infer.digest import digest, digest_of
from infer.errors import UnreadableScanError
from infer.executors.executor import Executor
from infer.executors.local import LocalExecutor
from infer.executors.processes import ProcessExecutor, WorkerLost
from infer.memory import keep_freed_memory
from train.data import DataConfig, ImageRow, SplitCase
from train.datasets.case import Case
from train.growing_store import Entry, GrowingStore
from train.reading import read_case, see
from train.scan_files import files_of_scan
from train.stored_images import as_stored

# Of files to read. With more, workers are processes, which take half a second to start.
FEW_BYTES = 2**26
# What of the block `data` says which scans there are, not how they are seen.
WHICH_SCANS = ("dataset", "source", "options")


class Job(NamedTuple):
    """A scan to be read, and by what it is known."""

    case: Case
    key: str
    is_tested: bool  # it is looked at, and nothing of it stored


@dataclass(frozen=True, slots=True)
class Reader:
    """Lets a scan wait in the store for its turn, or the reason why it cannot be read; its key."""

    store: GrowingStore
    data: DataConfig

    def __call__(self, job: Job) -> str:
        try:
            if job.is_tested:
                warnings = see(job.case, self.data).warnings
                return self.store.put(Entry(key=job.key, warnings=warnings), ())
            seen = read_case(job.case, self.data)
        except UnreadableScanError as error:
            return self.store.refuse(job.key, str(error))
        entry = Entry(
            key=job.key,
            slices=seen.slices.tolist(),
            normal=seen.normal.tolist(),
            positions=seen.positions.tolist(),
            foreground=seen.foreground.tolist(),
            warnings=seen.warnings,
        )
        # One by one: each stays in the processor's cache.
        return self.store.put(entry, (as_stored(it, self.data.store) for it in seen.images))


def store_images(
    folder: Path,
    cases: Sequence[Case],
    data: DataConfig,
    report: Callable[[str], None],
    *,
    tested: Sequence[Case] = (),
) -> dict[Path, Entry]:
    """Write images.npy in `folder`, in the order of the cases; what is known of those it has read.

    Those that are `tested` are looked at, too, and have no images: what ships will read them. One
    that cannot be read, or its mask, is better known before hours of fits than after them.

    Goes on where an equal call was interrupted. Scans that cannot be read are reported and left
    out; what is to be known of the others is reported, too. Equal scans give equal bytes, however
    many workers there are.
    """
    how = _how(data)
    keys = {it.scan: _key_of(it, how, folder) for it in cases}
    keys |= {it.scan: _key_of(it, f"{how} tested", folder) for it in tested}
    both = (*cases, *tested)
    store = GrowingStore(folder, (data.channels, *data.image_size), np.dtype(data.store))
    store.go_on(list(keys.values()))
    jobs = [Job(it, keys[it.scan], is_tested=at >= len(cases)) for at, it in enumerate(both)]
    missing = [it for it in jobs if not store.is_read(it.key)]
    stored: dict[Path, Entry] = {}
    waiting = deque(it.scan for it in both)
    with closing(_read(missing, store, data)) as read:
        for _ in itertools.chain((None,), read):
            while waiting and store.is_read(keys[waiting[0]]):
                scan = waiting.popleft()
                entry = store.take(keys[scan])
                if entry.error:
                    report(f"skipped {scan}: {entry.error}")
                else:
                    stored[scan] = entry
                for warning in entry.warnings:
                    report(f"warning: {scan}: {warning}")
    if broken := len(both) - len(stored):
        report(f"{broken} of {len(both)} scans were skipped")
    store.finish()
    return stored


def rows_of(cases: Sequence[SplitCase], stored: Mapping[Path, Entry]) -> list[ImageRow]:
    """What the table says of each stored image of these cases."""
    return [
        ImageRow(
            scan=it.case.scan,
            slice=at,
            split=it.split,
            normal=normal,
            group=it.case.group,
            position=position,
            foreground=foreground,
        )
        for it in cases
        for at, normal, position, foreground in zip(
            *stored[it.case.scan].of_each_image, strict=True
        )
    ]


def _read(jobs: Sequence[Job], store: GrowingStore, data: DataConfig) -> Generator[str]:
    """Yield each scan's key when it waits in the store, in any order."""
    workers = max(1, min(cores(), len(jobs)))
    executor: Executor
    if sum(_size_of(it.case.scan) for it in jobs) < FEW_BYTES:
        executor = LocalExecutor(workers)
        return executor.map(partial(Reader, store, data), jobs)
    executor = ProcessExecutor(workers, partial(_outliving, store))
    return executor.map(partial(_open_apart, store, data), jobs)


def _open_apart(store: GrowingStore, data: DataConfig) -> Reader:
    """In a process of its own: a thread each, and memory is kept for the next scan."""
    cv2.setNumThreads(1)
    keep_freed_memory()
    return Reader(store, data)


def _outliving(store: GrowingStore, read: Callable[[Job], str]) -> Callable[[Job], str]:
    """The same, where a process may die: its scan is one that cannot be read."""

    def surely(job: Job) -> str:
        try:
            return read(job)
        except WorkerLost as lost:
            reason = f"{lost} (is the file damaged? is there enough memory for it?)"
            return store.refuse(job.key, reason)

    return surely


def _how(data: DataConfig) -> str:
    """One word for all that makes images of scans: numbers, and the code that follows them."""
    numbers = {name: it for name, it in asdict(data).items() if name not in WHICH_SCANS}
    own = Path(__file__).parent
    code = [
        own / "reading.py",
        own / "stored_images.py",
        own / "truth.py",
        *Path(infer.__file__).parent.rglob("*.py"),
    ]
    said = [numbers, *(digest_of(it) for it in sorted(code))]
    return digest(json.dumps(said, sort_keys=True).encode())


def _key_of(case: Case, how: str, folder: Path) -> str:
    """One word for a scan as it lies there now, and how it is seen."""
    files = [case.scan, *([case.mask] if case.mask else [])]
    said = [how, case.normal, *(_state_of(it, folder) for it in files)]
    return digest(json.dumps(said).encode())


def _state_of(scan: Path, folder: Path) -> list[list[str | int]]:
    """Names, sizes and times of a scan's files; of one drawn in `folder` just now, the content."""
    state: list[list[str | int]] = []
    for file in files_of_scan(scan):
        if file.is_relative_to(folder):
            state.append([file.as_posix(), digest_of(file)])
        else:
            found = file.stat()
            state.append([file.as_posix(), found.st_size, found.st_mtime_ns])
    return state


def _size_of(scan: Path) -> int:
    return sum(file.stat().st_size for file in files_of_scan(scan))
