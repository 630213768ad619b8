"""What the report page shows of each scan, kept in the page's order: worst first."""

import math
import pickle
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from infer.journal import Entry
from infer.output_folder import OVERLAYS
from infer.report_csv import Row
from infer.shelf import Shelf, as_name, batched, falling


class Shown(NamedTuple):
    """One scan of the page."""

    row: Row
    overlay: str = ""  # its picture, relative to the page; empty: none was drawn
    profile: str = ""  # scores along its slices


class PageRows:
    """Anomalous before normal before failed, each by falling score, equal ones by name."""

    def __init__(self) -> None:
        self._shelf = Shelf()

    def add(self, shown: Iterable[Shown]) -> None:
        """Further scans."""
        for some in batched(shown):
            self._shelf.put((_place(each.row), _pickled(each)) for each in some)

    def __iter__(self) -> Iterator[Shown]:
        for _, pickled in self._shelf.items():
            row, overlay, profile = pickle.loads(pickled)
            yield Shown(Row(*row), overlay, profile)

    def failures(self) -> Iterator[Row]:
        """The scans that failed, by name."""
        for _, pickled in self._shelf.items(start=bytes((True,))):
            row, _, _ = pickle.loads(pickled)
            yield Row(*row)


def overlay_of(entry: Entry) -> str:
    """The picture of a scan, relative to the output folder."""
    return next((name for name in entry.outputs if name.startswith(f"{OVERLAYS}/")), "")


def page_rows(
    rows: Iterable[Row], overlays: Mapping[str, str], profiles: Mapping[str, str]
) -> PageRows:
    """Rows with what goes with each, by the scan's name."""
    pages = PageRows()
    pages.add(Shown(row, overlays.get(row.scan, ""), profiles.get(row.scan, "")) for row in rows)
    return pages


def _place(row: Row) -> bytes:
    score = -math.inf if row.score is None else row.score
    groups = bytes((row.status == "failed", not row.anomalous))
    return groups + falling(score) + as_name(row.scan)


def _pickled(shown: Shown) -> bytes:
    return pickle.dumps((tuple(shown.row), shown.overlay, shown.profile))
