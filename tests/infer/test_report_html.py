"""report.html: the report's rows, worst first, in a page that nothing can break out of."""

import base64
import csv
import hashlib
import json
import math
import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infer.interruption import Interruption
from infer.report_csv import Row
from infer.report_html import Results, page
from infer.shown import page_rows
from tests.infer.test_batch import report, run

RUN = {
    "outcome": "finished",
    "model": {
        "file": "tiny.onnx",
        "sha256": "0" * 64,
        "study": "tiny",
        "method": "blur",
        "modality": "CT",
        "image_size": [32, 32],
        "plane": "axial",
        "anomalous_by": "score",
        "score_recipe": "highest",
        "score_threshold": {"value": 2.0, "chosen_by": "eye"},
        "map_threshold": {"value": 1.0, "chosen_by": "eye"},
        "mlflow_run_id": "none",
        "members": {},
        "git_commit": "none",
        "git_dirty": False,
        "data_hash": "none",
    },
    "device": {"asked": "cpu", "got": "cpu", "provider": "CPU", "reason": "asked for"},
    "versions": {},
    "counts": {"scans": 1, "ok": 1, "failed": 0, "anomalous": 0, "unfinished": 0},
    "left_out": {".nrrd": 1, ".gif": 2},
    "timing": {"finished": "2026-01-02T03:04:05+00:00", "seconds": 1.0},
    "options": {"folder": "/secret/folder"},
    "monitoring": {
        "verdict": "as expected",
        "axes": {"score": "as expected", "intensity": "as expected", "geometry": "not recorded"},
        "warnings": [],
        "notes": [],
        "looks": {},
    },
}


def text_of(*rows, overlays=None, normals=(1.0, 2.0)):
    return b"".join(page(Results(page_rows(rows, overlays or {}, {}), RUN, normals))).decode(
        "utf-8"
    )


def data_in(text):
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    return json.loads(data)


def rows_in(text):
    data = data_in(text)
    return [dict(zip(data["columns"], values, strict=True)) for values in data["rows"]]


def scored(scan, score, *, anomalous):
    return Row(scan=scan, status="ok", score=score, anomalous=anomalous)


def test_worst_means_anomalous_then_by_score_and_failed_at_the_end():
    rows = [
        Row(scan="f", status="failed", error="why"),
        scored("low", 1.0, anomalous=False),
        scored("b", 3.0, anomalous=True),
        scored("a", 3.0, anomalous=True),
        scored("high but without a mask", 9.0, anomalous=False),
        scored("worst", 4.0, anomalous=True),
    ]
    order = ["worst", "a", "b", "high but without a mask", "low", "f"]
    assert [shown.row.scan for shown in page_rows(rows, {}, {})] == order
    assert [row["scan"] for row in rows_in(text_of(*rows))] == order
    assert [row.scan for row in page_rows(rows, {}, {}).failures()] == ["f"]


def test_every_scan_of_the_report_is_in_it_with_the_reports_numbers(scans, tiny_model, tmp_path):
    (scans / "broken.png").write_bytes(b"")
    run(scans, tiny_model, tmp_path / "out", overlays="anomalous")
    shown = {row["scan"]: row for row in rows_in((tmp_path / "out/report.html").read_text())}
    rows = report(tmp_path / "out")
    assert shown.keys() == rows.keys()
    for scan, row in rows.items():
        for name in shown[scan].keys() - {"overlay", "profile", "mask", "anomalous"}:
            said = "" if shown[scan][name] is None else shown[scan][name]
            assert str(said) == row[name] or float(said) == float(row[name])
        assert (tmp_path / "out" / shown[scan]["mask"]).exists()
        assert len(shown[scan]["profile"].split()) == (7 if scan == "lesion.nii.gz" else 0)
        assert bool(shown[scan]["overlay"]) == (row["anomalous"] == "true")
        assert (tmp_path / "out" / shown[scan]["overlay"]).exists()


def test_an_interrupted_run_leaves_a_page_of_what_is_done(scans, tiny_model, tmp_path):
    interruption = Interruption()
    interruption.requested = True
    run(scans, tiny_model, tmp_path / "out", interruption=interruption)
    data = data_in((tmp_path / "out/report.html").read_text())
    assert data["run"]["outcome"] == "interrupted"
    assert data["run"]["counts"]["unfinished"] == 7
    assert data["rows"] == []


def test_pictures_that_an_earlier_run_drew_are_shown(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out", overlays="all")
    run(scans, tiny_model, tmp_path / "out", overlays="none")
    assert all(row["overlay"] for row in rows_in((tmp_path / "out/report.html").read_text()))


def test_it_names_no_folder_of_the_machine(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    assert str(tmp_path) not in (tmp_path / "out/report.html").read_text()
    assert "secret" not in text_of()


HOSTILE = (
    "</script><script>alert(1)</script>.png",
    "<!--.png",
    "\"'`{{data}} {{script}}\\u003c&lt;.png",
    "line\u2028feed\r\n\t.png",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_or_message_ends_the_script_it_stands_in(name):
    row = Row(scan=name, status="failed", warning=name, error=name)
    text = text_of(row, overlays={name: f"overlays/{name}"})
    assert [rows_in(text)[0][key] for key in ("scan", "warning", "error")] == [name] * 3
    plain = text_of(Row(scan="a", status="failed"))
    for opening in ("<script", "</script", "<!--", "<img"):
        assert text.count(opening) == plain.count(opening)


@given(name=st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_file_name_survives_as_text_and_as_address(name):
    name = name.encode(errors="surrogatepass").decode(errors="surrogateescape")
    row = Row(scan=name, status="ok", score=1.0, anomalous=False, mask=f"masks/{name}")
    (shown,) = rows_in(text_of(row, overlays={name: f"overlays/{name}"}))
    assert shown["scan"] == name
    for key in ("mask", "overlay"):
        assert re.fullmatch(r"[\w.~/%-]+", shown[key], re.ASCII)
        expected = f"{key}s/{name}".encode(errors="surrogateescape")
        assert unquote_to_bytes(shown[key]) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_left_out(value):
    (shown,) = rows_in(text_of(scored("a", 1.0, anomalous=False)._replace(peak_value=value)))
    assert shown["peak_value"] is None


def test_only_its_own_script_and_style_may_run_in_it():
    text = text_of(scored("a", 1.0, anomalous=False))
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)">', text)
    assert policy.startswith("default-src 'none'; img-src 'self' file:;")
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.S)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.S)
    for kind, own in (("style", style), ("script", script)):
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}';" in policy


def test_it_refers_to_nothing_elsewhere():
    text = text_of(scored("a", 1.0, anomalous=False)).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//\w+\.\w|@import|url\(|fetch\(|XMLHttpRequest|innerHTML", text)


def test_many_scans_make_a_page_of_a_size_that_opens():
    names = [f"ward{at % 50:02}/patient_{at:06}.png" for at in range(3000)]
    rows = [
        scored(name, 1 / (1 + at), anomalous=False)._replace(
            normal_percentile=55.5, peak_x=300, peak_y=400, peak_value=0.123456, lesions=1,
            anomaly_area_px=3333, slices=1, worst_slice=0, mask=f"masks/{name}",
        )
        for at, name in enumerate(names)
    ]  # fmt: skip
    overlays = {name: f"overlays/{name}" for name in names}
    text = text_of(*rows, overlays=overlays)
    assert len(text) < 200 * len(rows) + 50_000
    assert len(rows_in(text)) == len(rows)


def test_the_report_can_still_be_read_by_a_table_program(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    with (tmp_path / "out/report.csv").open(newline="") as text:
        scans_listed = [row["scan"] for row in csv.DictReader(text)]
    assert scans_listed == sorted(scans_listed)
