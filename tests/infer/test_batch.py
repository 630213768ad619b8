"""A folder in, results out: rows, masks, resume; run in this process."""

import csv
import json
import os
import shutil
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest

from infer import batch, record, worker
from infer.batch import score_folder
from infer.engine import OnnxEngine
from infer.errors import BadOutputError, UnknownChoiceError, UnreadableScanError
from infer.executors.local import LocalExecutor
from infer.interruption import Interruption, StoppedAtOnce
from infer.merge import merge_reports
from infer.progress import Silence
from tests.infer.run_options import options


def run(scans, model, out, *, interruption=None, **changed):
    return score_folder(
        scans,
        model,
        out,
        options(**changed),
        progress=Silence(),
        interruption=interruption or Interruption(),
    ).counts


def report(out):
    with (out / "report.csv").open(newline="") as text:
        return {row["scan"]: row for row in csv.DictReader(text)}


def results(out):
    """Everything a user keeps: the report without its times, and every file's content."""
    rows = {scan: {**row, "seconds": ""} for scan, row in report(out).items()}
    files = {
        str(path.relative_to(out)): path.read_bytes()
        for place in ("masks", "overlays")
        for path in (out / place).rglob("*")
        if path.is_file()
    }
    return rows, files


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """However many scans: scored in this process, where a test can watch and interfere."""
    monkeypatch.setattr(batch, "FEW_CHUNKS", 1_000)


@pytest.fixture
def watched(monkeypatch):
    """The scans that are really read, in this test."""
    read, seen = worker.read_with_digest, []

    def watching(path: Path, choice):
        seen.append(path.name)
        return read(path, choice)

    monkeypatch.setattr(worker, "read_with_digest", watching)
    return seen


def test_every_scan_has_a_row_and_a_mask_on_its_own_grid(scans, tiny_model, tmp_path):
    counts = run(scans, tiny_model, tmp_path / "out")
    rows = report(tmp_path / "out")
    assert list(rows) == [
        "healthy002.png", "healthy004.png", "lesion.nii.gz", "lesion000.png",
        "ward/healthy001.jpg", "ward/healthy005.png", "ward/lesion003.png",
    ]  # fmt: skip
    assert (counts.scans, counts.ok, counts.failed, counts.anomalous) == (7, 7, 0, 3)
    for scan, row in rows.items():
        assert row["anomalous"] == ("true" if "lesion" in scan else "false")
        mask = tmp_path / "out" / row["mask"]
        if scan.endswith(".nii.gz"):
            assert nibabel.load(mask).shape == nibabel.load(scans / scan).shape
        else:
            assert cv2.imread(str(mask), cv2.IMREAD_UNCHANGED).shape == (40, 50)


def test_a_picture_is_spoken_of_in_columns_rows_and_pixels(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    row = report(tmp_path / "out")["ward/lesion003.png"]
    mask = cv2.imread(str(tmp_path / "out" / row["mask"]), cv2.IMREAD_UNCHANGED)
    assert 30 <= int(row["peak_x"]) < 36
    assert 12 <= int(row["peak_y"]) < 18
    assert (row["peak_z"], row["anomaly_volume_ml"]) == ("", "")
    assert int(row["anomaly_area_px"]) == np.count_nonzero(mask) > 0
    assert set(np.unique(mask)) == {0, 255}
    assert (row["slices"], row["lesions"]) == ("1", "1")


def test_a_volume_is_spoken_of_in_its_files_voxels_and_millilitres(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    row = report(tmp_path / "out")["lesion.nii.gz"]
    mask = nibabel.load(tmp_path / "out" / row["mask"])
    peak = tuple(int(row[f"peak_{axis}"]) for axis in "xyz")
    assert np.asarray(mask.dataobj)[peak] == 1
    assert nibabel.load(scans / "lesion.nii.gz").get_fdata()[peak] == 80
    assert (row["worst_slice"], row["slices"], row["anomaly_area_px"]) == ("2", "7", "")
    volume_ml = np.count_nonzero(mask.dataobj) * 3 / 1000  # voxels of 1 × 1 × 3 mm
    assert float(row["anomaly_volume_ml"]) == pytest.approx(volume_ml)


@pytest.mark.parametrize("divided", [{"workers": 1}, {"workers": 3}])
def test_results_do_not_depend_on_how_work_is_divided(scans, tiny_model, tmp_path, divided):
    run(scans, tiny_model, tmp_path / "one", overlays="all")
    run(scans, tiny_model, tmp_path / "other", overlays="all", **divided)
    assert results(tmp_path / "one") == results(tmp_path / "other")


def test_a_scan_gives_alone_what_it_gives_among_others(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    run(scans / "ward/lesion003.png", tiny_model, tmp_path / "alone")
    (alone,) = report(tmp_path / "alone").values()
    assert alone["score"] == report(tmp_path / "out")["ward/lesion003.png"]["score"]


def test_a_second_run_reads_nothing_again(scans, tiny_model, tmp_path, watched):
    run(scans, tiny_model, tmp_path / "out")
    before = results(tmp_path / "out")
    watched.clear()
    counts = run(scans, tiny_model, tmp_path / "out")
    assert watched == []
    assert (counts.resumed, counts.ok) == (7, 7)
    assert results(tmp_path / "out") == before


@pytest.mark.parametrize("large", [0, 1000, 2**20])
def test_what_changed_is_done_again_and_nothing_else(
    scans, tiny_model, tmp_path, watched, monkeypatch, large
):
    monkeypatch.setattr(record, "LARGE_BYTES", large)
    out = tmp_path / "out"
    run(scans, tiny_model, out)
    (scans / "healthy002.png").write_bytes((scans / "healthy004.png").read_bytes())
    (out / "masks/lesion000.png").write_bytes(b"cut")
    (out / "masks/ward/lesion003.png").unlink()
    watched.clear()
    run(scans, tiny_model, out)
    assert sorted(watched) == ["healthy002.png", "lesion000.png", "lesion003.png"]
    run(scans, tiny_model, tmp_path / "fresh")
    assert results(out) == results(tmp_path / "fresh")


@pytest.mark.parametrize("changed", [{"threshold": 0.1}, {"map_threshold": 0.1}])
def test_other_thresholds_are_other_results(scans, tiny_model, tmp_path, watched, changed):
    run(scans, tiny_model, tmp_path / "out")
    watched.clear()
    run(scans, tiny_model, tmp_path / "out", **changed)
    assert len(watched) == 7
    if "threshold" in changed:
        assert {row["threshold"] for row in report(tmp_path / "out").values()} == {"0.1"}


def test_overlays_asked_for_later_are_made_later(scans, tiny_model, tmp_path, watched):
    out = tmp_path / "out"
    run(scans, tiny_model, out)
    assert not (out / "overlays").exists()
    watched.clear()
    run(scans, tiny_model, out, overlays="anomalous")
    assert sorted(watched) == ["lesion.nii.gz", "lesion000.png", "lesion003.png"]
    overlays = {str(path.relative_to(out)) for path in (out / "overlays").rglob("*.png")}
    assert overlays == {
        "overlays/lesion000.png", "overlays/lesion.nii.gz.png", "overlays/ward/lesion003.png",
    }  # fmt: skip


def test_a_scan_that_failed_is_tried_again(scans, tiny_model, tmp_path):
    whole = (scans / "lesion000.png").read_bytes()
    (scans / "lesion000.png").write_bytes(whole[:200])
    assert run(scans, tiny_model, tmp_path / "out").failed == 1
    assert run(scans, tiny_model, tmp_path / "out").failed == 1
    (scans / "lesion000.png").write_bytes(whole)
    counts = run(scans, tiny_model, tmp_path / "out")
    assert (counts.failed, counts.resumed) == (0, 6)


def test_the_mask_of_a_scan_that_became_unreadable_goes(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    (scans / "lesion000.png").write_bytes(b"")
    run(scans, tiny_model, tmp_path / "out")
    assert report(tmp_path / "out")["lesion000.png"]["status"] == "failed"
    assert not (tmp_path / "out/masks/lesion000.png").exists()


def test_results_of_a_scan_that_cannot_be_read_just_now_stay(scans, tiny_model, tmp_path):
    """A share that is not mounted, where links lead: when it is back, they count again."""
    out, share = tmp_path / "out", tmp_path / "share"
    share.mkdir()
    shutil.move(scans / "lesion000.png", share / "it.png")
    (scans / "lesion000.png").symlink_to(share / "it.png")
    run(scans, tiny_model, out)
    _, before = results(out)
    share.rename(tmp_path / "not mounted")
    counts = run(scans, tiny_model, out)
    assert (counts.failed, counts.resumed, counts.replaced) == (1, 6, 0)
    row = report(out)["lesion000.png"]
    assert (row["status"], row["mask"]) == ("failed", "")
    assert results(out)[1] == before
    (tmp_path / "not mounted").rename(share)
    assert run(scans, tiny_model, out).resumed == 7


def test_results_of_other_settings_go_one_by_one_as_they_are_replaced(scans, tiny_model, tmp_path):
    class Stopping(Silence):
        def advance(self, rows, machines=()):
            interruption.requested = True

    out, interruption = tmp_path / "out", Interruption()
    run(scans, tiny_model, out, overlays="all")
    _, before = results(out)
    chosen = options(threshold=0.01, overlays="none", workers=1, batch_size=1)
    summary = score_folder(
        scans, tiny_model, out, chosen, progress=Stopping(), interruption=interruption
    )
    replaced = report(out).keys()
    assert 0 < len(replaced) == summary.counts.replaced < 7
    assert "took the place" in summary.in_words(out)
    gone = {f"overlays/{scan.removesuffix('.png')}.png" for scan in replaced}
    assert results(out)[1].keys() == before.keys() - gone
    # Earlier settings find what they had made and has not been replaced.
    counts = run(scans, tiny_model, out, overlays="all")
    assert (counts.resumed, counts.replaced) == (7 - len(replaced), len(replaced))
    assert results(out)[1] == before


def test_scans_of_another_folder_do_not_take_the_place_of_those_with_their_names(
    scans, tiny_model, tmp_path
):
    out, tuesday = tmp_path / "out", tmp_path / "tuesday"
    run(scans, tiny_model, out)
    before = results(out)
    tuesday.mkdir()
    shutil.copy(scans / "healthy002.png", tuesday / "lesion000.png")
    for changed in ({}, {"threshold": 0.01}):
        with pytest.raises(BadOutputError, match=r"other scans .* lesion000\.png of .*scans"):
            run(tuesday, tiny_model, out, **changed)
        assert results(out) == before
    assert run(tuesday, tiny_model, out, overwrite=True).ok == 1


def test_a_folder_that_is_moved_away_meanwhile_ends_the_run(scans, tiny_model, tmp_path):
    """Writing on, a new one would have some of the masks, and a report of all."""
    out = tmp_path / "out"

    class Moving(Silence):
        def advance(self, rows, machines=()):
            if out.exists() and not (tmp_path / "moved").exists():
                out.rename(tmp_path / "moved")

    with pytest.raises(BadOutputError, match="was moved or removed while"):
        score_folder(
            scans, tiny_model, out, options(workers=1, batch_size=1),
            progress=Moving(), interruption=Interruption(),
        )  # fmt: skip


def test_a_scan_one_of_whose_outputs_cannot_be_written_leaves_none(
    scans, tiny_model, tmp_path, monkeypatch
):
    write = worker.write_bytes

    def writing(path, content):
        if path.parent.name == "maps" and path.name.startswith("lesion000"):
            path = path.with_name("l" * 300)
        write(path, content)

    monkeypatch.setattr(worker, "write_bytes", writing)
    assert run(scans, tiny_model, tmp_path / "out", maps=True).failed == 1
    assert "a shorter name" in report(tmp_path / "out")["lesion000.png"]["error"]
    assert not (tmp_path / "out/masks/lesion000.png").exists()


def test_a_merged_report_is_not_replaced_by_a_run(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "one")
    merge_reports([tmp_path / "one"], tmp_path / "all")
    with pytest.raises(BadOutputError, match="holds a merged report"):
        run(scans, tiny_model, tmp_path / "all")
    assert len(report(tmp_path / "all")) == 7


def test_a_folder_that_was_moved_is_the_same(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    shutil.move(scans, tmp_path / "moved")
    counts = run(tmp_path / "moved", tiny_model, tmp_path / "out")
    assert counts.resumed == counts.scans


def test_results_of_a_scan_that_is_gone_stay_but_leave_the_report(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    (scans / "lesion000.png").unlink()
    counts = run(scans, tiny_model, tmp_path / "out")
    assert (counts.forgotten, counts.scans) == (1, 6)
    assert "lesion000.png" not in report(tmp_path / "out")
    assert (tmp_path / "out/masks/lesion000.png").exists()


def test_an_unexpected_exception_is_a_failed_row_with_its_traceback_in_the_log(
    scans, tiny_model, tmp_path, monkeypatch
):
    read = worker.read_with_digest

    def breaking(path, choice):
        if path.name == "healthy004.png":
            raise ZeroDivisionError("a bug")
        return read(path, choice)

    monkeypatch.setattr(worker, "read_with_digest", breaking)
    counts = run(scans, tiny_model, tmp_path / "out")
    assert (counts.ok, counts.failed) == (6, 1)
    row = report(tmp_path / "out")["healthy004.png"]
    assert (row["status"], row["error"]) == ("failed", "unexpected ZeroDivisionError: a bug")
    assert 'raise ZeroDivisionError("a bug")' in (tmp_path / "out/uad-infer.log").read_text()


def test_a_scan_that_the_model_cannot_take_does_not_harm_its_batch(scans, tiny_model, tmp_path):
    cv2.imwrite(str(scans / "thin.png"), np.full((1, 50), 90, np.uint8))
    run(scans, tiny_model, tmp_path / "out")
    rows = report(tmp_path / "out")
    assert [scan for scan, row in rows.items() if row["status"] == "failed"] == ["thin.png"]
    assert "1 × 50 pixels, too few" in rows["thin.png"]["error"]


def test_a_full_disk_stops_the_run_and_the_next_goes_on(scans, tiny_model, tmp_path, monkeypatch):
    write, written = worker.write_bytes, []

    def filling(path, content):
        if len(written) == 3:
            cause = OSError(28, "No space left on device")
            raise BadOutputError("mask.png could not be written") from cause
        written.append(path)
        write(path, content)

    monkeypatch.setattr(worker, "write_bytes", filling)
    with pytest.raises(BadOutputError, match="could not be written"):
        run(scans, tiny_model, tmp_path / "out", workers=1, batch_size=1)
    monkeypatch.setattr(worker, "write_bytes", write)
    counts = run(scans, tiny_model, tmp_path / "out", workers=1, batch_size=1)
    assert (counts.resumed, counts.ok) == (3, 7)


def test_an_interrupted_run_finishes_what_is_in_flight_and_says_so(scans, tiny_model, tmp_path):
    class Impatient(Silence):
        def __init__(self, interruption):
            self.interruption = interruption

        def advance(self, rows, machines=()):
            self.interruption.requested = True

    interruption = Interruption()
    chosen = options(workers=1, batch_size=1)
    summary = score_folder(
        scans, tiny_model, tmp_path / "out", chosen,
        progress=Impatient(interruption), interruption=interruption,
    )  # fmt: skip
    assert 0 < summary.counts.unfinished < 7
    assert len(report(tmp_path / "out")) == 7 - summary.counts.unfinished
    assert json.loads((tmp_path / "out/run.json").read_text())["outcome"] == "interrupted"
    assert run(scans, tiny_model, tmp_path / "out").ok == 7


@pytest.mark.parametrize(
    ("when", "changed"),
    [
        ("looking for scans", {"overwrite": True}),
        ("looking for scans", {"threshold": 0.01}),
        ("looking at what is done", {"threshold": 0.01}),
    ],
)
def test_whoever_stops_a_run_before_it_begins_keeps_what_was_there(
    scans, tiny_model, tmp_path, when, changed
):
    """A wrong option, and Ctrl-C when it is noticed."""

    class Noticed(Silence):
        def prepare(self, what):
            interruption.requested |= what == when

    run(scans, tiny_model, tmp_path / "out")
    before, interruption = results(tmp_path / "out"), Interruption()
    with pytest.raises(StoppedAtOnce):
        score_folder(
            scans, tiny_model, tmp_path / "out", options(**changed),
            progress=Noticed(), interruption=interruption,
        )  # fmt: skip
    assert results(tmp_path / "out") == before
    assert run(scans, tiny_model, tmp_path / "out").resumed == 7


def test_results_inside_the_folder_are_not_scored(scans, tiny_model, tmp_path):
    run(scans, tiny_model, scans / "results")
    assert run(scans, tiny_model, scans / "results").scans == 7
    assert run(scans, tiny_model, tmp_path / "elsewhere").scans == 7


def test_overwriting_starts_afresh(scans, tiny_model, tmp_path, watched):
    run(scans, tiny_model, tmp_path / "out")
    (tmp_path / "out/masks/mine.txt").write_text("mine")
    (scans / "lesion000.png").unlink()
    watched.clear()
    run(scans, tiny_model, tmp_path / "out", overwrite=True)
    assert len(watched) == 6
    assert not (tmp_path / "out/masks/lesion000.png").exists()
    assert (tmp_path / "out/masks/mine.txt").exists()


def test_run_json_says_what_was_run_with_what(scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out")
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert record["outcome"] == "finished"
    assert len(record["model"]["sha256"]) == 64
    assert record["model"]["score_threshold"] == {"value": 0.45, "chosen_by": "eye"}
    assert (record["device"]["asked"], record["device"]["got"]) == ("cpu", "cpu")
    assert record["device"]["precision"] == "fp32"
    assert record["device"]["precision_change"] is None
    assert record["counts"]["ok"] == 7
    assert {"uad", "python", "numpy"} <= record["versions"].keys()
    assert record["options"]["batch_size"] == 4


def test_a_folder_without_scans_is_an_error(tiny_model, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableScanError, match="holds no scans"):
        run(tmp_path / "empty", tiny_model, tmp_path / "out")
    with pytest.raises(UnreadableScanError, match="does not exist"):
        run(tmp_path / "nowhere", tiny_model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"batch_size": -1}, {"device": "gpu"}, {"precision": "bf16"}]
)
def test_senseless_options_are_refused(wrong):
    with pytest.raises(UnknownChoiceError):
        options(**wrong)


@pytest.mark.parametrize("wrong", [{"threshold": float("nan")}, {"map_threshold": float("-inf")}])
def test_thresholds_that_are_no_numbers_are_refused(scans, tiny_model, tmp_path, wrong):
    with pytest.raises(UnknownChoiceError, match="must be a finite number"):
        run(scans, tiny_model, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_slices_of_several_volumes_go_through_the_model_together(tiny_model, tmp_path, monkeypatch):
    asked, ask = [], OnnxEngine.run

    def watching(engine, images):
        asked.append(len(images))
        return ask(engine, images)

    monkeypatch.setattr(OnnxEngine, "run", watching)
    (tmp_path / "small").mkdir()
    for at in range(4):
        voxels = np.full((20, 21, 3), 30 + at, np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / f"small/{at}.nii.gz")
    run(tmp_path / "small", tiny_model, tmp_path / "out", batch_size=12, workers=1)
    assert asked == [12]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_strange_file_names_are_rows_like_others(scans, tiny_model, tmp_path):
    strange = ["=1+1.png", "new\nline.png", "ünï.png", 'a,b".png', "not text \udcff.png"]
    for name in strange:
        (scans / name).write_bytes((scans / "healthy002.png").read_bytes())
    run(scans, tiny_model, tmp_path / "out")
    with (tmp_path / "out/report.csv").open(newline="", errors="surrogateescape") as text:
        rows = {row["scan"]: row for row in csv.DictReader(text)}
    for name in strange:
        assert rows[name]["status"] == "ok"
        assert (tmp_path / "out" / rows[name]["mask"]).exists()


def test_processes_find_what_threads_find(scans, tiny_model, tmp_path, monkeypatch):
    run(scans, tiny_model, tmp_path / "threads", overlays="all", batch_size=1)
    monkeypatch.setattr(batch, "FEW_CHUNKS", 0)
    monkeypatch.setattr(batch, "LocalExecutor", None)
    run(scans, tiny_model, tmp_path / "processes", overlays="all", batch_size=1)
    assert results(tmp_path / "threads") == results(tmp_path / "processes")


def test_many_scans_are_scored_apart_and_few_are_not(scans, tiny_model, tmp_path, monkeypatch):
    asked = []

    def watching(workers, *, apart):
        asked.append(apart)
        return LocalExecutor(workers)

    monkeypatch.setattr(batch, "open_executor", watching)
    run(scans, tiny_model, tmp_path / "few")
    monkeypatch.setattr(batch, "FEW_CHUNKS", 1)
    run(scans, tiny_model, tmp_path / "many")
    assert asked == [False, True]
