"""Runs that are stopped: by signals, by a second run, by too many failures, by the disk."""

import contextlib
import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnx
import psutil
import pytest

from infer.cli import INTERRUPTED
from tests.end_to_end.file_systems import enlarge, small, unwritable
from tests.infer.tiny_model import MANIFEST, save, tiny_graph, write_tiny_model, write_tiny_scans

PICTURES = 60
SCANS = PICTURES + 1  # and a volume
SPOILT = 21
OPENED_SECONDS = 0.5  # of a core: a worker needs about half of it to open, two seconds for a batch
OPTIONS = ["--device", "cpu", "--workers", "2", "--batch-size", "4", "--overlays", "none"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    return write_tiny_scans(tmp_path_factory.mktemp("data") / "scans", pictures=PICTURES)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def slow_model(tmp_path_factory):
    """Takes about two seconds for a batch of four on one core."""
    side = 113
    graph = tiny_graph(replace(MANIFEST, image_size=(256, 256)))
    kernel = np.full((1, 1, side, side), 1 / side**2, np.float32)
    graph.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(kernel, "kernel"))
    (pads,) = (it for it in graph.graph.node[0].attribute if it.name == "pads")
    pads.ints[:] = [side // 2] * 4
    path = tmp_path_factory.mktemp("model") / "slow.onnx"
    save(path, graph, replace(MANIFEST, image_size=(256, 256)))
    return path


@pytest.fixture(autouse=True)
def hang_ups_are_heard():
    """Also where these tests were started by `nohup`, whose children leave them unheard."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def command(scans, model, out, *further):
    said = [str(scans), "--model", str(model), "--out", str(out), *OPTIONS, *further]
    return [sys.executable, "-m", "infer.cli", *said]


def run(scans, model, out, *further, **how):
    return subprocess.run(
        command(scans, model, out, *further), capture_output=True, text=True, check=False, **how
    )


@contextlib.contextmanager
def started(scans, model, out):
    """A run that goes on behind the test, past its planning."""
    process = subprocess.Popen(
        command(scans, model, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(lambda: both_score(process), process)
        yield process
    finally:
        process.kill()
        process.communicate()


def both_score(process):
    """Whether each worker, a process of its own, has begun with its first batch."""
    used = [sum(each.cpu_times()[:2]) for each in psutil.Process(process.pid).children()]
    return len(used) == 2 and min(used) > OPENED_SECONDS


def wait_until(happened, process):
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "the run never got going"
        assert process.poll() is None, "the run was over too soon"
        time.sleep(0.005)


def rows(out):
    with (out / "report.csv").open(newline="") as text:
        return {row["scan"]: {**row, "seconds": ""} for row in csv.DictReader(text)}


def outcome(out):
    return json.loads((out / "run.json").read_text())["outcome"]


def partial_files(out):
    return [path for path in out.rglob("*") if path.name.endswith(".part")]


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_finishes_what_is_in_flight_and_writes_the_report(
    scans, slow_model, tmp_path, sent, code
):
    out = tmp_path / "out"
    with started(scans, slow_model, out) as process:
        process.send_signal(sent)
        printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, INTERRUPTED)
    assert outcome(out) == "interrupted"
    finished = rows(out)
    assert 0 < len(finished) < SCANS
    assert list(finished) == sorted(finished)
    assert all((out / row["mask"]).is_file() for row in finished.values())
    assert f"interrupted with {SCANS - len(finished)} to do" in printed
    assert (out / "report.html").is_file()
    assert not partial_files(out)


def test_a_run_that_is_to_outlive_its_terminal_does(scans, slow_model, tmp_path):
    out = tmp_path / "out"
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    with started(scans, slow_model, out) as process:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [(signal.SIGINT, signal.SIGINT, 130), (signal.SIGTERM, signal.SIGINT, 130)],
)
def test_a_second_signal_stops_at_once(scans, slow_model, tmp_path, first, second, code):
    out = tmp_path / "out"
    with started(scans, slow_model, out) as process:
        process.send_signal(first)
        time.sleep(0.2)
        assert process.poll() is None, "what was in flight was over too soon"
        process.send_signal(second)
        sent = time.monotonic()
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - sent < 1
    assert (process.returncode, errors) == (code, INTERRUPTED)
    assert rows(out) == {}  # nothing was finished, and the report says so


def test_a_run_that_was_stopped_at_once_goes_on(scans, model, slow_model, tmp_path):
    out = tmp_path / "out"
    with started(scans, slow_model, out) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert run(scans, model, out).returncode == 0
    run(scans, model, tmp_path / "whole")
    assert rows(out) == rows(tmp_path / "whole")
    assert not partial_files(out)


def test_a_second_run_into_the_same_folder_is_refused(scans, model, slow_model, tmp_path):
    out = tmp_path / "out"
    with started(scans, slow_model, out) as process:
        second = run(scans, model, out)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert second.returncode == 2
    assert second.stderr == (
        f"error: another uad-infer is writing to {out}\n"
        "hint:  wait for it to end, or choose another --out\n"
    )
    assert process.returncode == 130
    assert len(rows(out)) > 0


@pytest.fixture
def spoilt(tmp_path):
    """As many scans, of which the first ten cannot be read."""
    folder = write_tiny_scans(tmp_path / "spoilt", pictures=10)
    for at in range(10):
        (folder / f"a{at}.png").write_text("no picture")
    return folder


def test_too_many_failures_stop_a_run(spoilt, model, tmp_path):
    out = tmp_path / "out"
    done = run(spoilt, model, out, "--max-failures", "2", "--workers", "1", "--batch-size", "1")
    assert done.returncode == 3
    failed = [row["status"] for row in rows(out).values()]
    assert failed == ["failed"] * len(failed)
    assert 3 <= len(failed) < 10  # some were in flight
    assert f"than --max-failures allows, {SPOILT - len(failed)} are still to do" in done.stdout
    assert outcome(out) == "stopped"
    assert (out / "report.html").is_file()


def test_a_run_that_failures_stopped_goes_on(spoilt, model, tmp_path):
    out = tmp_path / "out"
    run(spoilt, model, out, "--max-failures", "2")
    for path in spoilt.glob("a*.png"):
        path.unlink()
    done = run(spoilt, model, out, "--max-failures", "2")
    assert (done.returncode, outcome(out)) == (0, "finished")
    assert {row["status"] for row in rows(out).values()} == {"ok"}


def test_as_many_failures_as_are_allowed_stop_nothing(spoilt, model, tmp_path):
    done = run(spoilt, model, tmp_path / "out", "--max-failures", "10")
    assert (done.returncode, outcome(tmp_path / "out")) == (1, "finished")


def test_a_full_disk_is_an_error_without_half_files_and_the_run_goes_on(scans, model, tmp_path):
    disk = tmp_path / "disk"
    with small(disk, kib=200):
        done = run(scans, model, disk / "out")
        assert done.returncode == 2
        error, hint = done.stderr.splitlines()
        assert error.startswith(f"error: {disk}/out/")
        assert error.endswith("could not be written: No space left on device")
        assert "the same command goes on" in hint
        assert not partial_files(disk / "out")
        report = (disk / "out/report.csv").read_bytes()
        assert report.endswith(b"\n")
        some = rows(disk / "out")
        assert 0 < len(some) < SCANS

        enlarge(disk, kib=4096)
        again = run(scans, model, disk / "out")
        run(scans, model, tmp_path / "whole")
        assert again.returncode == 0
        assert " were done by an earlier run" in again.stdout
        assert rows(disk / "out") == rows(tmp_path / "whole")
        for row in rows(disk / "out").values():
            assert (disk / "out" / row["mask"]).read_bytes() == (
                tmp_path / "whole" / row["mask"]
            ).read_bytes()


def test_a_disk_that_was_full_before_is_an_error(scans, model, tmp_path):
    disk = tmp_path / "disk"
    with small(disk, kib=16):
        (disk / "full").write_bytes(bytes(16 * 1024 - 4096))
        done = run(scans, model, disk / "out")
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert len(done.stderr.splitlines()) == 2


def test_reports_that_cannot_grow_end_with_a_whole_line(scans, model, tmp_path):
    """Whoever runs the tests: the system itself refuses files of more than 4 KiB."""
    out = tmp_path / "out"

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = run(scans, model, out, preexec_fn=limited)
    assert done.returncode == 2
    assert "could not be written: File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 2
    for name in (".uad-journal.jsonl", "report.csv", "slices.csv"):
        content = (out / name).read_bytes()
        assert content == b"" or content.endswith(b"\n")
    assert run(scans, model, out).returncode == 0
    assert len(rows(out)) == SCANS


def test_an_unwritable_folder_is_an_error(scans, model, tmp_path):
    with unwritable(tmp_path / "out"):
        done = run(scans, model, tmp_path / "out")
        assert done.returncode == 2
        assert f"error: {tmp_path / 'out'} could not be written: " in done.stderr
        assert len(done.stderr.splitlines()) == 2
        assert not list((tmp_path / "out").iterdir())


def test_a_folder_that_becomes_unwritable_stops_the_run_and_the_next_goes_on(
    scans, model, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    with unwritable(out / "masks"):
        (out / ".uad-journal.jsonl").touch()
        done = run(scans, model, out)
        assert done.returncode == 2
        assert f"error: {out}/masks/" in done.stderr
    assert run(scans, model, out).returncode == 0
    assert len(rows(out)) == SCANS
