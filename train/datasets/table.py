"""Tables that users bring beside their scans: CSV, whatever program wrote it."""

import csv
from pathlib import Path
from typing import NamedTuple

from train.datasets.case import BadDatasetError

SEPARATORS = {";": "semicolons", "\t": "tabs"}  # of programs that write no commas


class Line(NamedTuple):
    """A line of a table: where it stands, and what it says in each column."""

    number: int  # from 1, as editors count
    cells: dict[str, str]  # without blanks around them; "" where nothing is said


class Table(NamedTuple):
    """What a table holds; blank lines are left out."""

    columns: list[str]
    lines: list[Line]


def read_table(path: Path) -> Table:
    """Read a table of UTF-8, with or without a byte order mark.

    Raises:
        BadDatasetError: it is no such table.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            lines = [
                Line(reader.line_num, {name: (line[name] or "").strip() for name in columns})
                for line in reader
            ]
    except UnicodeDecodeError as error:
        raise BadDatasetError(
            f"{path} is not in UTF-8", hint="save it as UTF-8; spreadsheets call it CSV UTF-8"
        ) from error
    except csv.Error as error:
        raise BadDatasetError(f"{path} is no table: {error}", hint="save it as CSV") from error
    if repeated := [name for name in columns if name and columns.count(name) > 1]:
        raise BadDatasetError(f"{path} has the column {repeated[0]!r} twice")
    if len(columns) == 1 and (found := [it for it in SEPARATORS if it in columns[0]]):
        raise BadDatasetError(
            f"{path} has {SEPARATORS[found[0]]} between its columns", hint="save it with commas"
        )
    return Table(columns, lines)
