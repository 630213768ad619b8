"""What is done and stays done: a line for each finished scan, so that a killed run can go on.

A scan is done if its line names the same model and options (`key`), the same input content, and
outputs that still exist as they were written. Anything else is done again.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infer.digest import digest, digest_of
from infer.report_csv import Row, row_from
from infer.shelf import Shelf, as_name, batched
from infer.traits import Traits, traits_from
from infer.writers.atomic import append_bytes, write_pieces


class Entry(NamedTuple):
    """A scan that was scored."""

    key: str  # of all that shapes a result: model, thresholds, version
    content: str  # digest of the scan's file
    outputs: dict[str, str]  # file relative to the output folder → its digest
    row: Row
    slices: str  # its lines in slices.csv, without its name
    traits: Traits | None = None  # None: an earlier version kept none
    folder: str = ""  # that the scan's name is relative to; empty: an earlier version kept none


def key_of(**shaping: Any) -> str:
    """One word for everything that shapes a result."""
    return digest(json.dumps(shaping, sort_keys=True).encode())


def is_whole(entry: Entry, out: Path) -> bool:
    """Do the entry's outputs exist as they were written?"""
    return all(digest_of(out / name) == wanted for name, wanted in entry.outputs.items())


class Entries:
    """Scan → its last entry, on a shelf; lines that a kill cut short are left out."""

    def __init__(self) -> None:
        self._lines = Shelf()

    @classmethod
    def read(cls, path: Path) -> "Entries":
        """Those of a journal, if there is one."""
        entries = cls()
        for some in batched(_whole_lines(path)):
            entries._lines.put((as_name(entry.row.scan), line) for entry, line in some)
        return entries

    def add(self, entries: Sequence[Entry]) -> None:
        """Further ones."""
        self._lines.put((as_name(entry.row.scan), _line(entry)) for entry in entries)

    def get(self, scan: str) -> Entry | None:
        """The entry of a scan."""
        line = self._lines.get(as_name(scan))
        return None if line is None else _entry(line)

    def forget(self, scan: str) -> None:
        """Keep the entry of a scan no longer."""
        self._lines.discard(as_name(scan))

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Entry]:
        return (_entry(line) for _, line in self._lines.items())

    def write(self, path: Path) -> None:
        """Replace the journal, so that a line cut short cannot swallow the next one."""
        write_pieces(path, (line for _, line in self._lines.items()))


def read_entries(path: Path) -> dict[str, Entry]:
    """Scan → its last entry, all in memory."""
    return {entry.row.scan: entry for entry, _ in _whole_lines(path)}


def _whole_lines(path: Path) -> Iterator[tuple[Entry, bytes]]:
    if not path.exists():
        return
    with path.open("rb") as journal:
        for line in journal:
            try:
                entry = _entry(line)
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
            yield entry, line.rstrip(b"\r\n") + b"\n"


def _entry(line: bytes) -> Entry:
    values = json.loads(line)
    traits = values.pop("traits", None)
    return Entry(
        row=row_from(values.pop("row")),
        traits=None if traits is None else traits_from(traits),
        **values,
    )


def append_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Add scans that are finished: their outputs must be in place."""
    append_bytes(path, as_lines(entries))


def as_lines(entries: Iterable[Entry]) -> bytes:
    """What a journal has of them."""
    return b"".join(map(_line, entries))


def _line(entry: Entry) -> bytes:
    # ASCII: file names that are not UTF-8 survive as escaped surrogates.
    values = {**entry._asdict(), "row": entry.row._asdict()}
    return (json.dumps(values) + "\n").encode("ascii")
