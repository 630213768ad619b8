"""Killed half-way and started again: the results are those of a run that nobody disturbed."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tests.infer.tiny_model import MANIFEST, write_tiny_model, write_tiny_scans

PICTURES = 60
COMMAND = [sys.executable, "-m", "infer.cli"]
OPTIONS = ["--device", "cpu", "--workers", "2", "--batch-size", "4", "--overlays", "all"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_tiny_scans(tmp_path_factory.mktemp("data") / "scans", pictures=PICTURES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    manifest = replace(MANIFEST, image_size=(64, 64))
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", manifest)


def command(scans, model, out):
    return [*COMMAND, str(scans), "--model", str(model), "--out", str(out), *OPTIONS]


def results(out):
    with (out / "report.csv").open(newline="") as text:
        rows = [{**row, "seconds": ""} for row in csv.DictReader(text)]
    files = {
        str(path.relative_to(out)): path.read_bytes()
        for place in ("masks", "overlays")
        for path in (out / place).rglob("*")
        if path.is_file()
    }
    return rows, files


def stop_half_way(scans, model, out, sent):
    """Start a run, send it a signal when it has some results; its exit code."""
    process = subprocess.Popen(command(scans, model, out), stdout=subprocess.DEVNULL)
    journal = out / ".uad-journal.jsonl"
    deadline = time.monotonic() + 60
    while not (journal.exists() and journal.read_bytes().count(b"\n") >= 8):
        assert time.monotonic() < deadline, "the run never got going"
        assert process.poll() is None, "the run was over before it could be stopped"
        time.sleep(0.001)
    process.send_signal(sent)
    return process.wait()


def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(scans, model, tmp_path):
    subprocess.run(command(scans, model, tmp_path / "whole"), check=True)
    out = tmp_path / "killed"
    assert stop_half_way(scans, model, out, signal.SIGKILL) == -signal.SIGKILL
    done = {
        path: path.stat().st_mtime_ns for path in (out / "masks").rglob("*.png") if path.is_file()
    }
    recorded = (out / ".uad-journal.jsonl").read_bytes().count(b"\n")
    assert recorded < PICTURES

    resumed = subprocess.run(command(scans, model, out), check=True, capture_output=True, text=True)

    assert results(out) == results(tmp_path / "whole")
    assert f"{recorded} were done by an earlier run" in resumed.stdout
    kept = sum(path.stat().st_mtime_ns == written for path, written in done.items())
    assert kept >= recorded


def test_an_interrupted_run_writes_its_report_and_goes_on(scans, model, tmp_path):
    out = tmp_path / "interrupted"
    assert stop_half_way(scans, model, out, signal.SIGINT) == 130
    rows, _ = results(out)
    assert 0 < len(rows) < PICTURES
    assert [row["scan"] for row in rows] == sorted(row["scan"] for row in rows)
    assert all((out / row["mask"]).exists() for row in rows)
    subprocess.run(command(scans, model, out), check=True, capture_output=True)
    assert len(results(out)[0]) == PICTURES + 1  # and the volume
