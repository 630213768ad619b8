"""What fewer bits cost and gain, a row for each file on each engine: CSV and Markdown."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields

from infer.precision import Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRow:
    """One file on one engine; its fields are the CSV's columns. None: not measured."""

    precision: Precision
    device: str
    file: str  # empty: none was written
    mib: float | None = None
    ms_per_image: float | None = None
    speed: float | None = None  # times that of the file in fp32 on the CPU
    auroc: float | None = None  # on validation
    auroc_drop: float | None = None
    correlation: float | None = None  # of scores, with fp32's on the CPU
    decided_otherwise: int | None = None  # validation scans
    left_in_float: str = ""
    verdict: str = ""  # empty: it is what the others are measured by


COLUMNS = tuple(field.name for field in fields(VariantRow))
DIGITS = {"mib": ".2f", "ms_per_image": ".3f", "speed": ".2f", "correlation": ".5f"}


def to_csv(rows: Sequence[VariantRow]) -> str:
    """One line per row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(row, name) for name in COLUMNS] for row in rows)
    return text.getvalue()


def to_markdown(
    rows: Sequence[VariantRow], *, title: str, measured_on: str, scans: int, batch: int
) -> str:
    """The table, and how to read it."""
    shown = [it for it in COLUMNS if any(_cell(row, it) for row in rows)]
    lines = [
        f"# {title}",
        "",
        f"Measured on {measured_on}, in turns, batches of {batch}; {scans} validation scans.",
        "",
        "| " + " | ".join(shown) + " |",
        "|---" * len(shown) + "|",
        *("| " + " | ".join(_cell(row, name) for name in shown) + " |" for row in rows),
        "",
        "- `speed` is that of the network alone: what is read, resized and written takes as long.",
        "- `auroc`, `correlation` and `decided_otherwise` are of validation scans, whose normals "
        "calibrated int8: small differences between rows say little.",
        "- `decided_otherwise`: scans called otherwise than in fp32, each file at its own "
        "threshold.",
        "- A file is written if it is accepted on `cpu`; one in int8 that is refused on `openvino` "
        "does not run there.",
        "",
    ]
    return "\n".join(lines)


def _cell(row: VariantRow, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:{DIGITS.get(name, '.4f')}}"
    return str(value)
