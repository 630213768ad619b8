"""report.csv: one row per scan, appended while a run goes on, sorted when it ends."""

import csv
import io
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infer.shelf import Shelf, as_name, batched
from infer.writers.atomic import append_bytes, write_pieces


class Row(NamedTuple):
    """One scan; the fields are the columns. None and "" are empty cells: does not apply."""

    scan: str  # path relative to the folder, with "/", ending kept
    status: str  # ok or failed
    anomalous: bool | None = None  # by score or by mask, as the manifest says
    score: float | None = None  # larger is more anomalous
    threshold: float | None = None  # of the score
    normal_percentile: float | None = None  # share of validation normals below the score, 0-100
    # Where the map is highest: voxel of the file, from 0 (NIfTI: i, j, k; pictures: column, row)
    peak_x: int | None = None
    peak_y: int | None = None
    peak_z: int | None = None
    peak_value: float | None = None
    lesions: int | None = None
    anomaly_volume_ml: float | None = None  # volumes
    anomaly_area_px: int | None = None  # pictures
    slices: int | None = None
    # Of the highest slice score (of a whole volume, of the map's peak): its index, from 0, on the
    # file's own axis.
    worst_slice: int | None = None
    mask: str = ""  # path relative to the output folder
    seconds: float | None = None
    warning: str = ""
    error: str = ""


def cells(row: Row) -> list[str]:
    """A row as text.

    Names of files stay as they are, also those a spreadsheet would take for a formula (=, +, @).
    """
    texts = {name: _text(value) for name, value in row._asdict().items()}
    if row.seconds is not None:
        texts["seconds"] = f"{row.seconds:.3f}"
    return list(texts.values())


def row_from(values: Mapping[str, Any]) -> Row:
    """A row from the journal's values.

    Raises:
        TypeError: they are not those of a row.
    """
    return Row(**values)


def read_rows(path: Path) -> list[Row]:
    """The rows of a report, as they were written: numbers as its text has them.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no report of this version.
    """
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as text:
        lines = csv.reader(text)
        if tuple(next(lines, ())) != Row._fields:
            raise ValueError("its columns are not those that this uad writes")
        return [_row_of(line) for line in lines]


def _row_of(texts: Sequence[str]) -> Row:
    named = zip(Row._fields, texts, strict=True)
    return Row(**{name: _READ[Row.__annotations__[name]](text) for name, text in named})


_READ: dict[Any, Callable[[str], Any]] = {
    str: str,
    bool | None: {"": None, "true": True, "false": False}.__getitem__,
    int | None: lambda text: int(text) if text else None,
    float | None: lambda text: float(text) if text else None,
}


class Report:
    """The file: appended as scans finish, sorted by scan whenever it is written anew.

    Each row is made text once: texts with commas, quotes or line breaks are quoted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = Shelf()  # by scan

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows to the file."""
        lines = _lines(rows)
        self._lines.put(lines)
        append_bytes(self._path, b"".join(line for _, line in lines))

    def write(self, rows: Iterable[Row] = ()) -> None:
        """Replace the file by all rows so far and these, in order."""
        for some in batched(rows):
            self._lines.put(_lines(some))
        ordered = (line for _, line in self._lines.items())
        write_pieces(self._path, itertools.chain([csv_line(Row._fields)], ordered))


def _lines(rows: Iterable[Row]) -> list[tuple[bytes, bytes]]:
    return [(as_name(row.scan), csv_line(cells(row))) for row in rows]


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:.6g}"
        case _:
            return str(value)


def csv_line(texts: Sequence[str]) -> bytes:
    """A line of a CSV file."""
    line = io.StringIO()
    # The writer quotes what is in its own line end only: given \r\n, it quotes both.
    csv.writer(line, lineterminator="\r\n").writerow(texts)
    text = line.getvalue().removesuffix("\r\n") + "\n"
    return text.encode(errors="surrogateescape")
