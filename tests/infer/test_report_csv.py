"""report.csv: columns, order, and texts that survive."""

import csv

from hypothesis import given
from hypothesis import strategies as st

from infer.report_csv import Report, Row

COLUMNS = (
    "scan,status,anomalous,score,threshold,normal_percentile,peak_x,peak_y,peak_z,peak_value,"
    "lesions,anomaly_volume_ml,anomaly_area_px,slices,worst_slice,mask,seconds,warning,error"
)


def read_back(path):
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as report:
        return list(csv.DictReader(report))


def test_the_columns_are_those_we_promise(tmp_path):
    Report(tmp_path / "report.csv").write()
    assert (tmp_path / "report.csv").read_text() == COLUMNS + "\n"


def test_what_does_not_apply_is_empty(tmp_path):
    Report(tmp_path / "report.csv").write([Row(scan="a.png", status="failed", error="why")])
    (row,) = read_back(tmp_path / "report.csv")
    assert {name for name, cell in row.items() if cell} == {"scan", "status", "error"}


def test_rows_are_sorted_by_scan_whenever_they_came(tmp_path):
    path = tmp_path / "report.csv"
    report = Report(path)
    report.write()
    rows = [Row(scan=name, status="ok") for name in ("b.png", "a.png", "a/z.png")]
    report.add(rows)
    assert [row["scan"] for row in read_back(path)] == ["b.png", "a.png", "a/z.png"]
    report.write()
    assert [row["scan"] for row in read_back(path)] == ["a.png", "a/z.png", "b.png"]


@given(scan=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_file_name_survives(tmp_path_factory, scan):
    path = tmp_path_factory.mktemp("report") / "report.csv"
    # A file name holds whatever bytes; Python carries those that are no text as surrogates.
    name = scan.encode(errors="surrogatepass").decode(errors="surrogateescape")
    Report(path).write([Row(scan=name, status="ok")])
    assert [row["scan"] for row in read_back(path)] == [name]


def test_numbers_keep_six_digits_and_truth_is_lower_case(tmp_path):
    row = Row(scan="a", status="ok", anomalous=True, score=1 / 3, lesions=0, seconds=1.0)
    Report(tmp_path / "report.csv").write([row])
    (cells,) = read_back(tmp_path / "report.csv")
    assert (cells["anomalous"], cells["score"], cells["lesions"], cells["seconds"]) == (
        "true",
        "0.333333",
        "0",
        "1.000",
    )
