"""--out in a store: the same results as in a folder here, resumed, whole, and ours alone."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from infer import batch
from infer.batch import score_folder
from infer.errors import BadOutputError, StoreError
from infer.interruption import Interruption
from infer.merge import merge_reports
from infer.part import Part
from infer.progress import Silence
from infer.storage import claim, results
from infer.storage.address import place_of
from tests.infer.run_options import options
from tests.infer.storage.faulty_store import KEY, SECRET
from tests.infer.storage.kept import in_folder, in_store
from tests.infer.tiny_model import write_tiny_scans

PICTURES = 60


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Claims are renewed and found stale sooner."""
    monkeypatch.setattr(claim, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(claim, "STALE_SECONDS", 1.0)
    monkeypatch.setattr(claim, "SETTLE_SECONDS", 0.1)
    monkeypatch.setattr(claim, "LOOK_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Scored in this process, where a test can interfere."""
    monkeypatch.setattr(batch, "FEW_CHUNKS", 1_000)


def run(scans, model, out, *, progress=None, interruption=None, **changed):
    return score_folder(
        place_of(str(scans)),
        model,
        place_of(str(out)),
        options(**changed),
        progress=progress or Silence(),
        interruption=interruption or Interruption(),
    )


@pytest.fixture
def out(bucket):
    return f"{bucket.url}/results/one"


def test_results_are_those_of_a_folder_here(bucket, scans, tiny_model, tmp_path, out):
    summary = run(scans, tiny_model, out, maps=True, overlays="all")
    run(scans, tiny_model, tmp_path / "here", maps=True, overlays="all")
    assert in_store(bucket) == in_folder(tmp_path / "here")
    record = json.loads(bucket.get("results/one/run.json"))
    assert record["options"]["out"] == out
    assert record["outcome"] == "finished"
    assert f"{out}/report.html" in summary.in_words(place_of(out))
    assert f"{out}/maps" in summary.in_words(place_of(out))
    kept = {name.split("/")[2] for name in bucket.keys("results/one/")}
    assert kept == {
        *("masks", "maps", "overlays", "report.csv", "slices.csv", "report.html", "run.json"),
        *(".uad-journal", ".uad-journal.jsonl"),
    }


def test_everything_may_be_in_the_store(bucket, scans, tiny_model, tmp_path, out, monkeypatch):
    monkeypatch.setattr(batch, "FEW_CHUNKS", 1)  # with workers that are processes
    model = bucket.put("models/tiny.onnx", tiny_model.read_bytes())
    run(bucket.upload(scans, "scans"), model, out, batch_size=1)
    run(scans, tiny_model, tmp_path / "here", batch_size=1)
    assert in_store(bucket) == in_folder(tmp_path / "here")


def test_what_is_done_stays_done_until_anything_of_it_changes(bucket, scans, tiny_model, out):
    run(scans, tiny_model, out)
    assert run(scans, tiny_model, out).counts.resumed == 7
    mask = bucket.keys("results/one/masks/")[0]
    whole = bucket.get(mask)
    bucket.put(mask, b"changed by somebody")
    assert run(scans, tiny_model, out).counts.resumed == 6
    assert bucket.get(mask) == whole
    bucket.remove(mask)
    assert run(scans, tiny_model, out).counts.resumed == 6
    assert run(scans, tiny_model, out, threshold=0.2).counts.resumed == 0
    cv2.imwrite(str(scans / "healthy002.png"), np.full((40, 50), 90, np.uint8))
    assert run(scans, tiny_model, out, threshold=0.2).counts.resumed == 6


def test_a_scan_is_marked_as_done_after_its_outputs_are_there(
    store, bucket, scans, tiny_model, out
):
    marked, missing = [], []

    def choose(method, path):
        if method == "PUT" and "/.uad-journal/" in path:
            marked.append(path)
            known = b"".join(bucket.get(it) for it in bucket.keys("results/one/.uad-journal/"))
            there = set(bucket.keys("results/one/masks/"))
            missing.extend(
                name
                for line in known.splitlines()
                for name in json.loads(line)["outputs"]
                if f"results/one/{name}" not in there
            )

    store.choose = choose
    run(scans, tiny_model, out, batch_size=1)
    assert len(marked) > 1
    assert not missing


COMMAND = [sys.executable, "-m", "infer.cli"]


def test_a_run_that_was_killed_goes_on_and_ends_as_an_undisturbed_one(
    store, bucket, tiny_model, tmp_path, out
):
    scans = write_tiny_scans(tmp_path / "many", pictures=PICTURES)
    address = bucket.upload(scans, "scans")
    chosen = ["--device", "cpu", "--workers", "2", "--batch-size", "2", "--overlays", "none"]
    store.choose = lambda method, path: 0.2 if method == "PUT" and "/masks/" in path else None
    process = subprocess.Popen(
        [*COMMAND, address, "--model", str(tiny_model), "--out", out, *chosen],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    deadline = time.monotonic() + 60
    while len(bucket.keys("results/one/.uad-journal/")) < 4:
        assert time.monotonic() < deadline
        assert process.poll() is None, "the run was over before it could be killed"
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    pieces = bucket.keys("results/one/.uad-journal/")
    assert bucket.keys("results/one/report.csv") == []
    store.choose = lambda method, path: None

    counts = run(address, tiny_model, out).counts
    assert 0 < counts.resumed < PICTURES
    run(scans, tiny_model, tmp_path / "here")
    assert in_store(bucket) == in_folder(tmp_path / "here")
    assert not {*pieces} & {*bucket.keys("results/one/.uad-journal/")}  # they are one piece now


def test_an_interrupted_run_puts_its_report_and_goes_on(bucket, scans, tiny_model, out):
    interruption = Interruption()

    class Interrupts(Silence):
        def advance(self, rows, machines=()):
            interruption.requested = True

    summary = run(
        scans,
        tiny_model,
        out,
        batch_size=1,
        workers=1,
        progress=Interrupts(),
        interruption=interruption,
    )
    assert summary.outcome == "interrupted"
    rows, files = in_store(bucket)
    assert 0 < len(rows) < 7
    assert {row["mask"] for row in rows.values()} == set(files)
    assert json.loads(bucket.get("results/one/run.json"))["outcome"] == "interrupted"
    assert run(scans, tiny_model, out).counts.resumed == len(rows)


@pytest.mark.parametrize("fault", ["500", "503", "closed before", "closed after", 0.1])
def test_faults_that_pass_change_nothing(
    store, bucket, scans, tiny_model, tmp_path, out, quick, fault
):
    asked = []

    def choose(method, path):
        asked.append((method, path))
        return fault if asked.count((method, path)) == 1 else None

    store.choose = choose
    run(scans, tiny_model, out)
    run(scans, tiny_model, tmp_path / "here")
    assert in_store(bucket) == in_folder(tmp_path / "here")


def test_a_store_that_goes_away_stops_the_run_and_the_next_one_goes_on(
    store, bucket, scans, tiny_model, tmp_path, out, quick
):
    puts = []

    def choose(method, path):
        if method == "PUT" and "/masks/" in path:
            puts.append(path)
        return "500" if len(puts) > 3 else None

    store.choose = choose
    with pytest.raises(StoreError, match="could not be written"):
        run(scans, tiny_model, out, batch_size=1, workers=1)
    store.choose = lambda method, path: None
    assert bucket.keys("results/one/run.json") == []
    counts = run(scans, tiny_model, out).counts
    assert 0 < counts.resumed < 7
    run(scans, tiny_model, tmp_path / "here")
    assert in_store(bucket) == in_folder(tmp_path / "here")


class Meanwhile(Silence):
    """Does something once, while a run goes on."""

    def __init__(self, do):
        self._do = do

    def advance(self, rows, machines=()):
        do, self._do = self._do, lambda: None
        do()


def test_a_second_run_into_the_same_folder_is_refused(scans, tiny_model, out):
    def second():
        with pytest.raises(BadOutputError, match="another uad-infer is writing to"):
            run(scans, tiny_model, out)

    summary = run(scans, tiny_model, out, progress=Meanwhile(second))
    assert summary.counts.ok == 7


def test_a_claim_that_was_left_behind_is_taken(bucket, scans, tiny_model, out):
    bucket.put("results/one/.uad-lock", b"of a run that was killed")
    bucket.put("results/one/.uad-journal/000000000001.jsonl", b"")
    assert run(scans, tiny_model, out).counts.ok == 7
    assert bucket.keys("results/one/.uad-lock") == []


def test_a_run_that_has_lost_its_claim_stops(bucket, scans, tiny_model, out, monkeypatch):
    monkeypatch.setattr(results, "PIECE_SECONDS", 0.0)

    def taken():
        for _ in range(5):  # a renewal that is under way would write over the first
            bucket.put("results/one/.uad-lock", b"another run's")
            time.sleep(0.2)

    with pytest.raises(BadOutputError, match=r"the hold on .* was lost"):
        run(scans, tiny_model, out, batch_size=1, workers=1, progress=Meanwhile(taken))
    assert bucket.get("results/one/.uad-lock") == b"another run's"
    assert bucket.keys("results/one/run.json") == []


def test_starting_afresh_removes_what_we_made_and_nothing_else(bucket, scans, tiny_model, out):
    run(scans, tiny_model, out, maps=True)
    bucket.put("results/one/masks/mine.txt", b"mine")
    (scans / "healthy002.png").unlink()
    summary = run(scans, tiny_model, out, overwrite=True)
    assert (summary.counts.resumed, summary.counts.ok) == (0, 6)
    assert bucket.keys("results/one/maps/") == []
    assert bucket.get("results/one/masks/mine.txt") == b"mine"
    assert not [name for name in bucket.keys("results/one/masks/") if "healthy002" in name]


def test_what_somebody_else_made_is_not_replaced(bucket, scans, tiny_model, out):
    for name in ("report.csv", "masks/a.png"):
        address = f"{bucket.url}/of-{name[:4]}"
        bucket.put(f"of-{name[:4]}/{name}", b"mine")
        with pytest.raises(BadOutputError, match="that uad-infer did not make"):
            run(scans, tiny_model, address)


def test_a_bucket_that_is_not_there_is_not_made(scans, tiny_model):
    with pytest.raises(StoreError, match="could not be written") as refused:
        run(scans, tiny_model, "s3://no-such-bucket-here/out")
    assert "such a bucket" in refused.value.hint


def test_what_is_done_is_marked_though_nothing_follows_for_long(
    bucket, scans, tiny_model, out, monkeypatch
):
    monkeypatch.setattr(results, "PIECE_SECONDS", 3600.0)
    marked = []

    class Looks(Silence):
        calls = 0

        def advance(self, rows, machines=()):
            self.calls += 1
            if self.calls == 2:
                time.sleep(0.5)  # renewals of the claim, and no further scan
                pieces = map(bucket.get, bucket.keys("results/one/.uad-journal/"))
                marked.append(len(b"".join(pieces).splitlines()))

    run(scans, tiny_model, out, batch_size=1, workers=1, progress=Looks())
    assert marked == [2]


def test_the_folder_of_the_scans_is_refused(bucket, scans, tiny_model):
    address = bucket.upload(scans, "all/masks/ward")
    for out in (address, f"{bucket.url}/all"):
        with pytest.raises(BadOutputError, match="the scans themselves"):
            run(address, tiny_model, out)


def test_results_below_the_scans_are_no_scans(bucket, scans, tiny_model):
    address = bucket.upload(scans, "scans")
    for _ in range(2):
        assert run(address, tiny_model, f"{address}/out").counts.scans == 7


def test_a_journal_cannot_lead_outside_the_folder(bucket, scans, tiny_model, out):
    run(scans, tiny_model, out)
    bucket.put("results/precious.png", b"mine")
    pieces = bucket.keys("results/one/.uad-journal/")
    whole = b"".join(map(bucket.get, pieces))
    evil = whole.replace(b"masks/healthy002.png", b"masks/../../precious.png")
    assert evil != whole
    bucket.put(pieces[-1], evil)
    run(scans, tiny_model, out, overwrite=True)
    assert bucket.get("results/precious.png") == b"mine"


def test_a_name_that_no_store_can_have_is_a_failed_row(bucket, scans, tiny_model, out):
    content = (scans / "healthy002.png").read_bytes()
    odd = os.fsdecode(b"caf\xe9.png")
    (scans / odd).write_bytes(content)
    deep = scans.joinpath(*["d" * 200] * 6)
    deep.mkdir(parents=True)
    (deep / "a.png").write_bytes(content)
    (scans / "a\nb.png").write_bytes(content)
    counts = run(scans, tiny_model, out).counts
    assert (counts.ok, counts.failed) == (8, 2)
    assert "can hold nothing called" in bucket.get("results/one/report.csv").decode("latin-1")
    assert "results/one/masks/a\nb.png" in bucket.keys("results/one/masks/")


def test_a_copy_of_the_folder_here_is_one_of_a_run_here(bucket, scans, tiny_model, tmp_path, out):
    for number in (1, 2):
        run(scans, tiny_model, out, part=Part(number, 2), overwrite=True)
        for key in bucket.keys("results/one/"):
            path = tmp_path / f"part{number}" / key.removeprefix("results/one/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bucket.get(key))
    merged = merge_reports([tmp_path / "part1", tmp_path / "part2"], tmp_path / "all")
    assert (merged.counts["scans"], list(merged.gaps)) == (7, [])
    part = Part(1, 2)
    counts = run(scans, tiny_model, tmp_path / "part1", part=part).counts
    assert counts.resumed == counts.scans > 0


def test_nothing_that_is_written_holds_a_key(store, bucket, scans, tiny_model, out, monkeypatch):
    def crash(*given, **named):
        raise RuntimeError("of a library")

    monkeypatch.setattr("infer.worker.slice_lines", crash)
    run(scans, tiny_model, out)
    assert b"of a library" in bucket.get("results/one/uad-infer.log")
    for name in bucket.keys(""):
        assert SECRET.encode() not in bucket.get(name)
        assert KEY.encode() not in bucket.get(name)


def test_an_object_that_somebody_else_writes_over_at_once_stops_the_run(
    store, bucket, scans, tiny_model, out
):
    def choose(method, path):
        if method == "HEAD" and path.endswith("masks/healthy002.png"):
            bucket.put("results/one/masks/healthy002.png", b"another's")

    store.choose = choose
    with pytest.raises(StoreError, match="something else there"):
        run(scans, tiny_model, out)
