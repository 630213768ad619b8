"""A store of images that grows scan by scan in a given order, and goes on where it was interrupted.

<folder>/images.npy               the images of all scans whose turn has come
<folder>/.growing/<key>.part      a scan that was read before its turn: a line of JSON, its images
<folder>/.growing/journal.jsonl   these lines, of the scans that are in images.npy

A scan's images go from its part to the end of images.npy, then its line to the journal, then its
part is removed: a process killed in between leaves bytes that no line speaks for, and they are cut
off. Nothing but one piece of a scan is ever in memory here.
"""

import io
import itertools
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from infer.writers.atomic import append_bytes, in_words, write_bytes, write_pieces
from train.data import IMAGES

GROWING = ".growing"
PIECE_BYTES = 2**20


class Entry(NamedTuple):
    """What is known of a scan that was read, and of each image that is stored of it."""

    key: str  # equal for the same scan, read by the same numbers
    error: str = ""  # why it cannot be read; then it has no images
    slices: Sequence[int] = ()
    normal: Sequence[bool] = ()
    positions: Sequence[float] = ()
    foreground: Sequence[float] = ()
    warnings: Sequence[str] = ()  # what its reader had to say

    @property
    def of_each_image(self) -> tuple[Sequence[Any], ...]:
        """Its slice, whether it is normal, its position, its share of foreground."""
        return self.slices, self.normal, self.positions, self.foreground


class GrowingStore:
    """The unfinished store in a folder. Parts may come from any process; all else is one's work."""

    def __init__(self, folder: Path, row_shape: tuple[int, ...], kind: np.dtype) -> None:
        self.images = folder / IMAGES
        self.folder = folder / GROWING
        self.journal = self.folder / "journal.jsonl"
        self.row_shape = row_shape
        self.kind = kind
        self.row_bytes = math.prod(row_shape) * kind.itemsize
        self._done: dict[str, Entry] = {}

    def go_on(self, order: Sequence[str]) -> None:
        """Keep what an earlier run has left of these scans, by their keys in the order to be."""
        self.folder.mkdir(parents=True, exist_ok=True)
        entries, wanted = self._left(), set(order)
        still = _agreeing([it.key for it in entries], order)
        end = self._end_of(entries[:still])
        # What is in another place than it is to be waits for its turn again.
        self._put_back(entries[still:], end, wanted)
        write_bytes(self.journal, b"".join(map(_line, entries[:still])))
        with in_words(self.images):
            self.images.touch()
            os.truncate(self.images, end)
        self._write_header(rows=0)
        for part in self.folder.glob("*.part"):
            if part.stem not in wanted or not self._is_whole(part):
                part.unlink()
        self._done = {it.key: it for it in entries[:still]}

    def is_done(self, key: str) -> bool:
        """Whether this scan is in its place."""
        return key in self._done

    def is_read(self, key: str) -> bool:
        """Whether this scan is in its place, or waits for its turn."""
        return self.is_done(key) or self._part(key).exists()

    def put(self, entry: Entry, images: Iterable[np.ndarray]) -> str:
        """Let a scan wait for its turn; each of its images is of `row_shape`. Its key."""
        rows = (image.astype(self.kind, copy=False).tobytes() for image in images)
        write_pieces(self._part(entry.key), itertools.chain((_line(entry),), rows))
        return entry.key

    def refuse(self, key: str, error: str) -> str:
        """Let a scan that cannot be read wait for its turn too, with nothing but the reason."""
        return self.put(Entry(key=key, error=error), ())

    def take(self, key: str) -> Entry:
        """Store the images of a scan that waits: it is its turn. What is known of them."""
        if self.is_done(key):
            return self._done[key]
        part = self._part(key)
        with in_words(self.images), part.open("rb") as read, self.images.open("ab") as file:
            line = read.readline()
            shutil.copyfileobj(read, file, PIECE_BYTES)
        append_bytes(self.journal, line)
        part.unlink()
        self._done[key] = _entry(line)
        return self._done[key]

    def finish(self) -> None:
        """Say in the header how many images there are, and leave nothing else behind."""
        self._write_header(rows=_rows_of(self._done.values()))
        shutil.rmtree(self.folder)

    def _left(self) -> list[Entry]:
        """The scans of an earlier run that are in images.npy with all their images."""
        if not self.journal.exists() or not self.images.exists():
            return []
        entries = list(_entries(self.journal.read_bytes()))
        size = self.images.stat().st_size
        whole = (at for at in range(len(entries), 0, -1) if self._end_of(entries[:at]) <= size)
        return entries[: next(whole, 0)]

    def _put_back(self, entries: Iterable[Entry], start: int, wanted: set[str]) -> None:
        """Make parts again of scans that lie in images.npy from byte `start` on."""
        for entry in entries:
            length = len(entry.slices) * self.row_bytes
            if entry.key in wanted:
                pieces = itertools.chain((_line(entry),), self._pieces(start, length))
                write_pieces(self._part(entry.key), pieces)
            start += length

    def _is_whole(self, part: Path) -> bool:
        """A power cut may leave less of a part than was written."""
        with part.open("rb") as read:
            line = read.readline()
        entry = next(_entries(line), None)
        if entry is None:
            return False
        return part.stat().st_size == len(line) + len(entry.slices) * self.row_bytes

    def _pieces(self, start: int, length: int) -> Iterator[bytes]:
        with self.images.open("rb") as file:
            file.seek(start)
            while length:
                piece = file.read(min(length, PIECE_BYTES))
                length -= len(piece)
                yield piece

    def _part(self, key: str) -> Path:
        return self.folder / f"{key}.part"

    def _end_of(self, entries: Iterable[Entry]) -> int:
        """Where in images.npy the next image would begin."""
        return len(self._header(rows=0)) + _rows_of(entries) * self.row_bytes

    def _header(self, *, rows: int) -> bytes:
        """As `numpy.save` writes it: as long for any number of rows."""
        written = io.BytesIO()
        described = {
            "descr": np.lib.format.dtype_to_descr(self.kind),
            "fortran_order": False,
            "shape": (rows, *self.row_shape),
        }
        np.lib.format.write_array_header_1_0(written, described)
        return written.getvalue()

    def _write_header(self, *, rows: int) -> None:
        with in_words(self.images), self.images.open("r+b") as file:
            file.write(self._header(rows=rows))


def _agreeing(found: Sequence[str], wanted: Sequence[str]) -> int:
    """How many keys from the first on are the same."""
    pairs = enumerate(zip(found, wanted, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(found), len(wanted)))


def _rows_of(entries: Iterable[Entry]) -> int:
    return sum(len(it.slices) for it in entries)


def _line(entry: Entry) -> bytes:
    return json.dumps(entry._asdict()).encode("ascii") + b"\n"


def _entry(line: bytes) -> Entry:
    return Entry(**json.loads(line))


def _entries(lines: bytes) -> Iterator[Entry]:
    """Up to one that a kill cut short."""
    for line in lines.splitlines():
        try:
            yield _entry(line)
        except (ValueError, TypeError):
            return
