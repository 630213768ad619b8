"""A library that crashes over a scan: one failed row, and the run goes on."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infer.tiny_model import write_tiny_model, write_tiny_scans

PICTURES = 40
DEADLY, UNEXPECTED = "healthy008.png", "healthy010.png"
OPTIONS = ["--device", "cpu", "--workers", "2", "--batch-size", "4", "--overlays", "none"]
# Python runs this first, in every process: the reader then dies as a C++ library may.
SITE = f"""
import os, signal
from infer import worker

read = worker.read_with_digest

def reading(path, choice):
    if path.name == "{DEADLY}":
        os.kill(os.getpid(), signal.SIGSEGV)
    if path.name == "{UNEXPECTED}":
        raise RuntimeError("nobody expected it")
    return read(path, choice)

worker.read_with_digest = reading
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a run with such a library wrote, and what it said."""
    folder = tmp_path_factory.mktemp("crash")
    scans = write_tiny_scans(folder / "scans", pictures=PICTURES)
    model = write_tiny_model(folder / "tiny.onnx")
    (folder / "sitecustomize.py").write_text(SITE)
    repository = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "infer.cli", str(scans), "--model", str(model), *OPTIONS]
    done = subprocess.run(
        [*command, "--out", str(folder / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), repository])},
    )
    with (folder / "out" / "report.csv").open(newline="") as report:
        rows = {Path(row["scan"]).name: row for row in csv.DictReader(report)}
    return folder / "out", rows, done


def test_the_scan_that_crashed_it_is_a_failed_row_that_says_so(run):
    _, rows, done = run
    assert done.returncode == 1
    assert rows[DEADLY]["status"] == "failed"
    assert rows[DEADLY]["error"].startswith("its process was ended by SIGSEGV")


def test_every_other_scan_is_scored(run):
    out, rows, _ = run
    others = [row for name, row in rows.items() if name not in (DEADLY, UNEXPECTED)]
    assert len(others) == PICTURES + 1 - 2
    assert {row["status"] for row in others} == {"ok"}
    assert all((out / row["mask"]).is_file() for row in others)


def test_what_nobody_expected_is_logged_from_the_process_it_happened_in(run):
    out, rows, _ = run
    assert rows[UNEXPECTED]["error"] == "unexpected RuntimeError: nobody expected it"
    assert "Traceback" in (out / "uad-infer.log").read_text()
