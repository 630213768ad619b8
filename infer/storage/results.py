"""The results of a run in a store, with what a folder gives by itself made of puts and markers.

Outputs of a scan are put first; then a piece of journal that names them, which is what says that
the scan is done: a run that was killed in between does it again. Reports are made on this machine
and put when the run ends, run.json last.
"""

import contextlib
import math
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from infer import journal
from infer.errors import BadOutputError, StoreError
from infer.journal import Entries, Entry
from infer.output_folder import (
    JOURNAL,
    LOCK,
    LOG,
    OF_SCANS,
    OF_THE_RUN,
    PAGE,
    REPORT,
    RUN,
    SEGMENTS,
    SLICES,
)
from infer.shelf import batched
from infer.storage.address import STEPS, Address, Place, refuse_web
from infer.storage.claim import Claim
from infer.storage.outputs import digest_in, version_in
from infer.storage.store import content_of, fetch, object_at, objects_in, put, put_file, remove

PIECE_SECONDS = 1.0  # between two pieces of journal, if results come faster
AT_ONCE = 16  # requests
_PUBLISHED = (SLICES, REPORT, PAGE, LOG, RUN)  # in this order

Item = TypeVar("Item")


@contextlib.contextmanager
def opened_in_store(out: Address) -> Iterator["StoredResults"]:
    """See `infer.results.opened_results`.

    Raises:
        UnknownChoiceError: it is on a web server.
    """
    refuse_web(out)
    with tempfile.TemporaryDirectory(prefix="uad-out-", ignore_cleanup_errors=True) as folder:
        yield StoredResults(out, Path(folder))


class StoredResults:
    """A folder of a store; see `infer.results.Results`."""

    def __init__(self, out: Address, folder: Path) -> None:
        self.store: Address | None = out
        self.folder = folder
        self._out = out
        self._claim = Claim(out / LOCK, out, self._put_piece_in_passing)
        self._putting = threading.Lock()
        self._pending: list[Entry] = []
        self._put_at = -math.inf
        self._pieces: list[str] = []  # of the journal, in order
        self._versions: dict[str, str] = {}  # of outputs that were here at the start
        self._shown: set[str] = set()

    def refuse_harmful(self, scans: Place) -> None:
        """See that writing there touches neither the scans nor what is not ours.

        Raises:
            BadOutputError: it could.
        """
        ours = [self._out / name for name in OF_SCANS]
        if scans == self._out or (
            isinstance(scans, Address) and any(scans.is_within(place) for place in ours)
        ):
            raise BadOutputError(
                f"{self._out} cannot take the results: the scans themselves are there",
                hint="choose another --out",
            )
        if next(objects_in(self._out / SEGMENTS), None) is not None:
            return
        foreign = [name for name in OF_THE_RUN if object_at(self._out / name)]
        foreign += [name for name in OF_SCANS if next(objects_in(self._out / name), None)]
        if foreign:
            raise BadOutputError(
                f"{self._out} holds a {foreign[0]} that uad-infer did not make",
                hint="choose another --out",
            )

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder for this run; what was done there is known here then.

        Raises:
            BadOutputError: another run holds it.
            StoreError: the store cannot be reached, or refuses.
        """
        with self._claim.held():
            self._look()
            try:
                yield
            finally:
                with contextlib.suppress(StoreError, BadOutputError):
                    self._put_piece()

    def start_afresh(self) -> None:
        """Remove what earlier runs made there, and nothing else."""
        entries = Entries.read(self.folder / JOURNAL)
        _all_at_once(self._remove, (name for entry in entries for name in entry.outputs))
        _all_at_once(remove, (self._out / name for name in (*OF_THE_RUN, JOURNAL)))
        (self.folder / LOG).unlink(missing_ok=True)
        self.replace_journal(Entries())

    def remove_run(self) -> None:
        """Remove the record of an earlier run, and its page: what they tell is about to change."""
        for name in (RUN, PAGE):
            remove(self._out / name)

    def tells_case(self) -> bool:
        """Stores do."""
        return True

    def is_whole(self, entry: Entry) -> bool:
        """By the versions that the store gave when they were put."""
        wanted = {name: version_in(token) for name, token in entry.outputs.items()}
        return all(it and self._versions.get(name) == it for name, it in wanted.items())

    def remove_outputs(self, entry: Entry, *, keep: Collection[str]) -> None:
        """Remove a scan's outputs, except those in `keep`."""
        for name in entry.outputs.keys() - set(keep):
            self._remove(name)

    def replace_journal(self, entries: Entries) -> None:
        """One piece for all of it; the older ones go when it is there."""
        self._claim.refuse_lost()
        path = self.folder / JOURNAL
        entries.write(path)
        self._note_places(entries)
        with self._putting:
            older = list(self._pieces)
            put_file(self._next_piece(), path)
            _all_at_once(remove, (self._out / name for name in older))
            self._pieces = self._pieces[len(older) :]

    def add_to_journal(self, entries: Sequence[Entry]) -> None:
        """A further piece, now or with others in a moment; at the next renewal at the latest."""
        self._note_places(entries)
        journal.append_entries(self.folder / JOURNAL, entries)
        with self._putting:
            self._pending += entries
        if time.monotonic() - self._put_at >= PIECE_SECONDS:
            self._put_piece()

    def publish(self) -> None:
        """Put the reports; last what says that the run is over."""
        self._put_piece()
        self._claim.refuse_lost()
        self._put_plain_journal()
        for name in _PUBLISHED:
            if (self.folder / name).exists():
                put_file(self._out / name, self.folder / name)

    def shown(self) -> Sequence[str]:
        """What a user is pointed to."""
        return [PAGE, REPORT, *(name for name in OF_SCANS if name in self._shown)]

    def _look(self) -> None:
        """What is there: the journal and the log come here, of outputs it is enough to know."""
        self._pieces = sorted(
            f"{SEGMENTS}/{it.address.name}" for it in objects_in(self._out / SEGMENTS)
        )
        with (self.folder / JOURNAL).open("wb") as whole, ThreadPoolExecutor(AT_ONCE) as pool:
            for piece in pool.map(content_of, [self._out / name for name in self._pieces]):
                whole.write(piece or b"")
        with contextlib.suppress(FileNotFoundError):
            fetch(self._out / LOG, self.folder / LOG)
        above = len(f"{self._out.path}/")
        self._versions = {
            it.address.path[above:]: it.version
            for name in OF_SCANS
            for it in objects_in(self._out / name)
        }
        if not self._pieces:
            put(self._next_piece(), b"")  # says that the folder is ours

    def _next_piece(self) -> Address:
        last = int(self._pieces[-1].rpartition("/")[2].partition(".")[0]) if self._pieces else 0
        self._pieces.append(f"{SEGMENTS}/{last + 1:012}.jsonl")
        return self._out / self._pieces[-1]

    def _put_piece(self) -> None:
        with self._putting:
            self._put_pending()

    def _put_piece_in_passing(self) -> None:
        """At a renewal of the claim, which must not wait for a journal that is being put."""
        if self._putting.acquire(blocking=False):
            try:
                self._put_pending()
            finally:
                self._putting.release()

    def _put_pending(self) -> None:
        if not self._pending:
            return
        self._claim.refuse_lost()
        put(self._next_piece(), journal.as_lines(self._pending))
        self._pending = []
        self._put_at = time.monotonic()

    def _put_plain_journal(self) -> None:
        """As a folder has it: whoever copies this one to a machine can go on and merge there."""
        path = self.folder / f"plain{JOURNAL}"
        plain = Entries()
        for some in batched(Entries.read(self.folder / JOURNAL)):
            plain.add([entry._replace(outputs=_plain(entry.outputs)) for entry in some])
        plain.write(path)
        put_file(self._out / JOURNAL, path)

    def _remove(self, name: str) -> None:
        steps = name.split("/")
        # A journal is an object like any other: it must not lead us outside.
        if steps[0] in OF_SCANS and not set(steps) & {*STEPS, ""}:
            remove(self._out / name)
            self._versions.pop(name, None)

    def _note_places(self, entries: Iterable[Entry]) -> None:
        self._shown |= {name.partition("/")[0] for entry in entries for name in entry.outputs}


def _plain(outputs: Mapping[str, str]) -> dict[str, str]:
    return {name: digest_in(token) for name, token in outputs.items()}


def _all_at_once(do: Callable[[Item], None], items: Iterable[Item]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(do, items):
            pass
