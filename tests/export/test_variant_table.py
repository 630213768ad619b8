"""The table of what fewer bits cost and gain."""

import csv
import io

from export.variant_table import COLUMNS, VariantRow, to_csv, to_markdown

ROWS = [
    VariantRow(
        precision="fp32", device="cpu", file="cae.onnx", mib=1.5, ms_per_image=0.25, speed=1.0,
        auroc=0.9, auroc_drop=0.0, correlation=1.0, decided_otherwise=0,
    ),
    VariantRow(
        precision="int8", device="cpu", file="", auroc=0.8, auroc_drop=0.1, correlation=0.5,
        decided_otherwise=3, verdict="refused: correlation 0.5000, at least 0.99 is asked",
    ),
]  # fmt: skip


def test_the_csv_has_a_column_for_each_field_and_nothing_where_nothing_was_measured():
    first, second = csv.DictReader(io.StringIO(to_csv(ROWS)))
    assert tuple(first) == COLUMNS
    assert (float(first["mib"]), float(first["speed"])) == (1.5, 1.0)
    assert (second["file"], second["mib"], second["ms_per_image"]) == ("", "", "")
    assert second["decided_otherwise"] == "3"


def test_the_page_shows_each_row_with_its_verdict_and_no_empty_column():
    text = to_markdown(ROWS, title="Fewer bits", measured_on="a CPU", scans=70, batch=16)
    head, _, *rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "left_in_float" not in head
    assert len(rows) == 2
    assert rows[0].startswith("| fp32 | cpu | cae.onnx | 1.50 | 0.250 | 1.00 |")
    assert "refused: correlation 0.5000" in rows[1]
    assert "Measured on a CPU, in turns, batches of 16; 70 validation scans." in text
