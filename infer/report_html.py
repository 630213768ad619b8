"""report.html: one page to look through the scans with, worst first; opened from disk.

The page asks for nothing but the pictures beside it, and says so to the browser: scripts and
styles are allowed by their hashes alone. What comes from files, names above all, reaches it as
JSON and is shown as text; there is no place where it could become markup or an address.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from infer.shelf import batched
from infer.shown import Shown
from infer.writers.atomic import write_pieces
from infer.writers.overlay import HEADER

_OF_THE_ROW = (
    *("scan", "anomalous", "score", "normal_percentile"),
    *("peak_x", "peak_y", "peak_z", "peak_value"),
    *("lesions", "anomaly_volume_ml", "anomaly_area_px", "slices", "worst_slice"),
    *("warning", "error"),
)
COLUMNS = (*_OF_THE_ROW, "profile", "mask", "overlay")
# Of run.json; not its options: they hold the folder's name, which no other row or page gives.
_OF_THE_RUN = ("outcome", "model", "device", "versions", "counts", "left_out", "timing")
_OF_THE_MONITORING = ("axes", "warnings", "notes")
_cells = attrgetter(*_OF_THE_ROW)
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


class Results(NamedTuple):
    """What the page shows."""

    shown: Iterable[Shown]  # worst first
    run: Mapping[str, Any]  # as in run.json
    normals: Sequence[float]  # scores of normal scans, ascending


def write_page(path: Path, results: Results) -> None:
    """Put the page at `path`, whole or not at all."""
    write_pieces(path, page(results))


def page(results: Results) -> Iterator[bytes]:
    """The page in pieces: with many scans it is long."""
    style, script = _part("page.css"), _part("page.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src 'self' file:",
            f"style-src {_hash_of(style)}",
            f"script-src {_hash_of(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    filled = {"policy": policy, "style": style, "script": script}
    pattern = re.compile(r"\{\{(policy|style|script)\}\}")
    whole = pattern.sub(lambda place: filled[place[1]], _part("page.html"))
    before, after = whole.split("{{data}}")
    yield before.encode()
    yield from (_inert(text).encode("ascii") for text in _data(results))
    yield after.encode()


def _data(results: Results) -> Iterator[str]:
    """The JSON of the page, in pieces."""
    facts = {
        "run": {name: results.run[name] for name in _OF_THE_RUN}
        | {"missing": results.run.get("missing", [])},  # of a merged report
        "monitoring": {name: results.run["monitoring"][name] for name in _OF_THE_MONITORING},
        "normals": [_rounded(score) for score in results.normals],
        "overlay_header": HEADER,
        "columns": COLUMNS,
    }
    yield _encode(facts)[:-1] + ',"rows":[\n'
    separator = ""
    for some in batched(results.shown):
        yield separator + ",\n".join(_encode(_values(shown)) for shown in some)
        separator = ",\n"
    yield "\n]}"


def _values(shown: Shown) -> list[Any]:
    """A scan's cells in the order of COLUMNS."""
    return [
        *(_rounded(cell) if isinstance(cell, float) else cell for cell in _cells(shown.row)),
        shown.profile,
        _address(shown.row.mask),
        _address(shown.overlay),
    ]


def _rounded(value: float) -> float | None:
    """A number as the report has it; no number where JSON has none."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _address(name: str) -> str:
    """A file below the page as a relative address, whatever bytes its name is made of."""
    return quote(name.encode(errors="surrogateescape"))


def _inert(json_text: str) -> str:
    """The same JSON, without what could end the script element that it stands in."""
    return json_text.replace("<", "\\u003c")


def _hash_of(text: str) -> str:
    """What a content security policy calls an inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _part(name: str) -> str:
    return files("infer").joinpath("report_page", name).read_text(encoding="utf-8")
