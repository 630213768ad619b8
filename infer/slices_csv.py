"""slices.csv: one row per slice, appended while a run goes on, sorted by scan when it ends.

A scan's lines are made once, where it is scored, and kept in the journal; what is trusted after a
kill is the journal, this file is written anew from it.
"""

import csv
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import IO, NamedTuple

from infer.report_csv import csv_line
from infer.shapes import Scores
from infer.shelf import Shelf, as_name, batched
from infer.writers.atomic import append_bytes, write_pieces

PROFILE = 80  # at most so many numbers stand for the slices of a scan
_PLACE = struct.Struct("<QQ")
PART = "score_"  # what the columns of a model's further scores begin with, as in its graph


class ScanLines(NamedTuple):
    """What the file says of one scan."""

    scan: str
    lines: str  # as `slice_lines` made them


class SliceTable:
    """The file: appended as scans finish, sorted by scan whenever it is written anew.

    Long volumes have many slices: kept is only where in the file a scan's lines are.
    """

    def __init__(self, path: Path, parts: Iterable[str]) -> None:
        self._path = path
        self._header = csv_line(
            ["scan", "slice", "score", *(PART + part for part in sorted(parts))]
        )
        self._places = Shelf()  # scan → first byte and number of bytes

    def start(self, scans: Iterable[ScanLines]) -> None:
        """Replace the file by these scans, in order."""
        blocks = Shelf()
        for some in batched(scans):
            blocks.put((as_name(scan.scan), _block(scan)) for scan in some)
        self._write(blocks.items())

    def add(self, scans: Iterable[ScanLines]) -> None:
        """Append scans to the file."""
        blocks = [(as_name(scan.scan), _block(scan)) for scan in scans]
        start = append_bytes(self._path, b"".join(block for _, block in blocks))
        self._places.put(_places(blocks, start=start))

    def sort(self) -> None:
        """Replace the file by what it holds, in order."""
        with self._path.open("rb") as table:
            self._write(self._in_order(table))

    def _write(self, blocks: Iterable[tuple[bytes, bytes]]) -> None:
        """Replace the file by these, which are in order, and know where each is."""
        places = Shelf()

        def pieces() -> Iterator[bytes]:
            yield self._header
            start = len(self._header)
            for some in batched(blocks):
                places.put(_places(some, start=start))
                for _, block in some:
                    start += len(block)
                    yield block

        write_pieces(self._path, pieces())
        self._places = places

    def _in_order(self, table: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
        for scan, place in self._places.items():
            start, size = _PLACE.unpack(place)
            table.seek(start)
            yield scan, table.read(size)


def _places(blocks: Iterable[tuple[bytes, bytes]], *, start: int) -> Iterator[tuple[bytes, bytes]]:
    for scan, block in blocks:
        yield scan, _PLACE.pack(start, len(block))
        start += len(block)


def parts_in(path: Path) -> list[str]:
    """The further scores that a file has columns for."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
        columns = next(csv.reader(text), [])
    return [name.removeprefix(PART) for name in columns if name.startswith(PART)]


def slice_lines(indices: Sequence[int], scores: Scores, parts: Mapping[str, Scores]) -> str:
    """A scan's lines without its name: index on the file's own axis, score, parts by name.

    >>> slice_lines([1, 0], np.array([0.5, 2], np.float32), {"mean": np.array([1, 3], np.float32)})
    '0,2,3\\n1,0.5,1\\n'
    """
    columns = [scores.tolist(), *(parts[name].tolist() for name in sorted(parts))]
    form = "%d" + ",%.6g" * len(columns) + "\n"
    return "".join(form % row for row in sorted(zip(indices, *columns, strict=True)))


def profile(lines: str) -> str:
    """Scores along a scan, for a drawing; each the highest of its stretch. Empty for a picture.

    After the index of the first slice, where that is not the scan's first.

    >>> profile("0,0.5,3\\n1,2,1\\n"), profile("7,0.5\\n8,2\\n")
    ('0.5 2', '7: 0.5 2')
    """
    rows = [line.split(",") for line in lines.splitlines()]
    scores = [float(row[1]) for row in rows]
    if len(scores) < 2:
        return ""
    first = f"{rows[0][0]}: " if int(rows[0][0]) else ""
    count = min(len(scores), PROFILE)
    ends = [at * len(scores) // count for at in range(count + 1)]
    return first + " ".join(f"{max(scores[start:end]):.3g}" for start, end in pairwise(ends))


def _block(scan: ScanLines) -> bytes:
    """A scan's lines, each with its name."""
    name = csv_line([scan.scan])[:-1] + b","
    lines = scan.lines.encode("ascii").splitlines(keepends=True)
    return b"".join(name + line for line in lines)
