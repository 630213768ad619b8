"""What is done and stays done: a line for each finished scan, so that a killed run can go on.

A scan is done if its line names the same model and options (`key`), the same input content, and
outputs that still exist as they were written. Anything else is done again.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from infer.digest import digest, digest_of
from infer.report_csv import Row, row_from
from infer.writers.atomic import append_bytes, write_bytes


class Entry(NamedTuple):
    """A scan that was scored."""

    key: str  # of all that shapes a result: model, thresholds, version
    content: str  # digest of the scan's file
    outputs: dict[str, str]  # file relative to the output folder → its digest
    row: Row
    slices: str  # its lines in slices.csv, without its name


def key_of(**shaping: Any) -> str:
    """One word for everything that shapes a result."""
    return digest(json.dumps(shaping, sort_keys=True).encode())


def is_whole(entry: Entry, out: Path) -> bool:
    """Do the entry's outputs exist as they were written?"""
    return all(digest_of(out / name) == wanted for name, wanted in entry.outputs.items())


def read_entries(path: Path) -> dict[str, Entry]:
    """Scan → its last entry; lines that a kill cut short are left out."""
    entries: dict[str, Entry] = {}
    if not path.exists():
        return entries
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        try:
            values = json.loads(line)
            row = row_from(values.pop("row"))
            entries[row.scan] = Entry(row=row, **values)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return entries


def write_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Replace the journal, so that a line cut short cannot swallow the next one."""
    write_bytes(path, _lines(entries))


def append_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Add scans that are finished: their outputs must be in place."""
    append_bytes(path, _lines(entries))


def _lines(entries: Iterable[Entry]) -> bytes:
    # ASCII: file names that are not UTF-8 survive as escaped surrogates.
    return "".join(
        json.dumps({**entry._asdict(), "row": entry.row._asdict()}) + "\n" for entry in entries
    ).encode("ascii")
