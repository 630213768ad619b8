"""FOLDER in a store: the same scans as of the same folder here, the same rows, the same masks."""

import csv
import json

import cv2
import nibabel
import numpy as np
import pytest

from infer import batch, listing
from infer.batch import score_folder
from infer.errors import UnknownChoiceError, UnreadableScanError
from infer.interruption import Interruption
from infer.progress import Silence
from infer.readers import picture_header
from infer.readers.choice import USUAL
from infer.readers.discovery import find_sources, scans_in
from infer.storage.address import place_of
from infer.storage.stored import version_of
from tests.infer.dicom_files import series
from tests.infer.run_options import options
from tests.infer.storage.faulty_store import KEY, SECRET


def run(scans, model, out, **changed):
    return score_folder(
        place_of(str(scans)),
        model,
        out,
        options(**changed),
        progress=Silence(),
        interruption=Interruption(),
    ).counts


def report(out):
    with (out / "report.csv").open(newline="") as text:
        return {row["scan"]: {**row, "seconds": ""} for row in csv.DictReader(text)}


def results(out):
    masks = [it for place in ("masks", "maps", "segmentations") for it in (out / place).rglob("*")]
    files = {it.relative_to(out): it.read_bytes() for it in masks if it.is_file()}
    return report(out), files


@pytest.fixture
def many(scans):
    """Every kind of scan: pictures, volumes, a NIfTI pair, an array, two DICOM series, no scan."""
    y, x = np.indices((24, 20))
    voxels = np.stack([1024 + (x + y + at) // 3 for at in range(3)])
    series(scans / "ct", voxels)
    series(scans / "two/one", voxels, name="{:03}.dcm")
    pair = nibabel.Nifti1Pair(voxels.astype(np.float32), np.diag([-1.0, 1, 3, 1]))
    nibabel.save(pair, scans / "pair.img")
    np.save(scans / "ward/array.npy", voxels.astype(np.float32))
    (scans / "notes.txt").write_text("no scan")
    (scans / "ward/.hidden.png").write_bytes(b"hidden")
    return scans


@pytest.fixture
def spools(tmp_path, monkeypatch):
    """The temporary folder of this test."""
    import tempfile

    folder = tmp_path / "spools"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_empty_objects_are_no_scans_and_hinder_none(bucket, scans, tmp_path):
    where = bucket.upload(scans, "scans")
    for name in ("_SUCCESS", "ward/IM0001"):
        bucket.put(f"scans/{name}", b"")
    found = scans_in(place_of(where), tmp_path / "out")
    assert list(found.scans) == list(scans_in(scans, tmp_path / "out").scans)
    assert sum(found.left_out.values()) == 2


def test_an_object_that_sleeps_in_an_archive_is_one_failed_row(bucket, scans, tiny_model, tmp_path):
    where = bucket.upload(scans, "scans")
    bucket.put("scans/awake.dcm", b"no DICOM")
    for name in ("asleep.dcm", "asleep_too", "asleep.json"):
        bucket.archive(f"scans/{name}", b"\0" * 128 + b"DICM" + b"\0" * 50)
    counts = run(where, tiny_model, tmp_path / "out")
    rows = report(tmp_path / "out")
    failed = {name for name, row in rows.items() if row["status"] == "failed"}
    assert failed == {"awake.dcm", "asleep.dcm", "asleep_too"}
    assert counts.ok == len(rows) - 3
    for name in ("asleep.dcm", "asleep_too"):
        assert "could not be fetched" in rows[name]["error"]
        assert "storage class" in rows[name]["error"]


def test_a_folder_in_a_store_holds_the_scans_that_it_holds_here(bucket, many, tmp_path):
    stored = scans_in(place_of(bucket.upload(many, "scans")), tmp_path / "out")
    here = scans_in(many, tmp_path / "out")
    assert list(stored.scans) == list(here.scans)
    assert stored.left_out == here.left_out
    for name, source in stored.scans.items():
        assert len(source.series) == len(dict(here.scans.items())[name].series)


def test_rows_and_masks_are_those_of_the_folder_here(bucket, many, tiny_model, tmp_path, spools):
    address = bucket.upload(many, "scans")
    asked = {"maps": True, "dicom_seg": True}
    assert run(address, tiny_model, tmp_path / "stored", **asked).failed == 0
    run(many, tiny_model, tmp_path / "here", **asked)
    stored, here = results(tmp_path / "stored"), results(tmp_path / "here")
    assert stored[0] == here[0]
    assert stored[1].keys() == here[1].keys()
    assert {name: it for name, it in stored[1].items() if name.suffix != ".dcm"} == {
        name: it
        for name, it in here[1].items()
        if name.suffix != ".dcm"  # each has its own UID
    }
    record = json.loads((tmp_path / "stored/run.json").read_text())
    assert record["options"]["folder"] == address
    assert not list(spools.iterdir())


def test_workers_that_are_processes_fetch_likewise(
    bucket, scans, tiny_model, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch, "FEW_CHUNKS", 1)
    run(bucket.upload(scans, "scans"), tiny_model, tmp_path / "stored", batch_size=1)
    run(scans, tiny_model, tmp_path / "here", batch_size=1)
    assert results(tmp_path / "stored") == results(tmp_path / "here")


def test_a_bucket_is_a_folder(bucket, scans, tmp_path):
    for path in scans.glob("*.png"):
        bucket.put(path.name, path.read_bytes())
    found = scans_in(place_of(bucket.url), tmp_path / "out").scans
    assert list(found) == sorted(path.name for path in scans.glob("*.png"))


def test_a_pair_whose_name_is_too_long_for_a_file_stays_a_pair(bucket, many, tiny_model, tmp_path):
    for ending in ("hdr", "img"):
        bucket.put(f"scans/{'x' * 230}.{ending}", (many / f"pair.{ending}").read_bytes())
    run(f"{bucket.url}/scans", tiny_model, tmp_path / "out")
    (row,) = report(tmp_path / "out").values()
    assert (row["status"], row["slices"]) == ("ok", "20")


def test_one_scan_is_scored_by_its_own_address(bucket, many, tiny_model, tmp_path):
    address = bucket.upload(many, "scans")
    for name in ("lesion.nii.gz", "pair.hdr", "pair.img"):
        out = tmp_path / name
        assert run(f"{address}/{name}", tiny_model, out).ok == 1
        assert list(report(out)) == [name.replace(".img", ".hdr")]


def test_what_is_done_is_not_fetched_again_and_what_was_changed_is(
    store, bucket, scans, tiny_model, tmp_path
):
    address = bucket.upload(scans, "scans")
    run(address, tiny_model, tmp_path / "out")
    store.asked.clear()
    assert run(address, tiny_model, tmp_path / "out").resumed == 7
    assert not [it for it in store.asked if it.startswith("GET") and "list-type" not in it]
    pixels = np.full((40, 50), 90, np.uint8)
    bucket.put("scans/healthy002.png", cv2.imencode(".png", pixels)[1].tobytes())
    assert run(address, tiny_model, tmp_path / "out").resumed == 6


def test_a_scan_that_cannot_be_fetched_is_a_failed_row_that_is_tried_again(
    store, bucket, scans, tiny_model, tmp_path, quick
):
    address = bucket.upload(scans, "scans")
    store.choose = lambda method, path: "500" if "healthy002" in path else None
    counts = run(address, tiny_model, tmp_path / "out")
    assert (counts.ok, counts.failed) == (6, 1)
    row = report(tmp_path / "out")["healthy002.png"]
    assert "healthy002.png could not be fetched" in row["error"]
    store.choose = lambda method, path: None
    counts = run(address, tiny_model, tmp_path / "out")
    assert (counts.ok, counts.resumed, counts.failed) == (7, 6, 0)


@pytest.mark.parametrize("fault", ["500", "cut", 0.2])
def test_faults_that_pass_change_nothing(store, bucket, scans, tiny_model, tmp_path, quick, fault):
    address = bucket.upload(scans, "scans")
    asked = []

    def choose(method, path):
        asked.append(path)
        return fault if method == "GET" and asked.count(path) == 1 else None

    store.choose = choose
    run(address, tiny_model, tmp_path / "stored")
    run(scans, tiny_model, tmp_path / "here")
    assert results(tmp_path / "stored") == results(tmp_path / "here")


def test_a_scan_that_is_changed_while_it_is_fetched_is_a_failed_row(
    store, bucket, scans, tiny_model, tmp_path
):
    address = bucket.upload(scans, "scans")

    def choose(method, path):
        if method == "GET" and "healthy002" in path:
            bucket.put("scans/healthy002.png", b"another")

    store.choose = choose
    run(address, tiny_model, tmp_path / "out")
    assert "changed or removed while it was" in report(tmp_path / "out")["healthy002.png"]["error"]


def test_a_picture_that_is_too_large_is_refused_without_being_fetched(
    store, bucket, scans, tiny_model, tmp_path, monkeypatch
):
    monkeypatch.setattr(picture_header, "_OTHER_BYTES", 1_000)  # instead of 64 MiB
    address = bucket.upload(scans, "scans")
    bucket.put("scans/huge.png", bytes(82_000))
    run(address, tiny_model, tmp_path / "out", max_voxels=10_000)
    rows = report(tmp_path / "out")
    assert "more than a picture of 10,000" in rows["huge.png"]["error"]
    assert not [it for it in store.asked if it.startswith("GET") and "huge.png" in it]
    assert rows["lesion.nii.gz"]["status"] == "ok"


def test_what_the_temporary_folder_has_no_room_for_is_a_failed_row(
    bucket, scans, tiny_model, tmp_path, monkeypatch
):
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 2_500))
    run(bucket.upload(scans, "scans"), tiny_model, tmp_path / "out")
    rows = report(tmp_path / "out")
    assert "more than the temporary folder has room for" in rows["lesion.nii.gz"]["error"]


HOSTILE = ["../../evil.png", "ward/../../evil.png", "./a.png", "a\nb.png", "a//b.png", "/x.png"]


def test_no_name_in_a_store_leads_outside(bucket, scans, tiny_model, tmp_path, spools):
    content = (scans / "healthy002.png").read_bytes()
    for name in (*HOSTILE, "é" * 120 + ".png"):
        bucket.put(f"scans/{name}", content)
    out = tmp_path / "deep/er/out"
    before = set(tmp_path.rglob("*"))
    run(f"{bucket.url}/scans", tiny_model, out)
    rows = report(out)
    assert {name for name in rows if name in HOSTILE} == set(HOSTILE)
    for name in HOSTILE[:3]:
        assert "a step of its address is . or .." in rows[name]["error"]
    for name in HOSTILE[3:]:
        assert rows[name]["status"] == "ok"
    made = {it for it in tmp_path.rglob("*") if not it.is_relative_to(out)} - before
    assert {it.name for it in made} <= {"deep", "er", "cache"}
    assert (out / "masks/a\nb.png").exists()
    assert rows["é" * 120 + ".png"]["status"] == "ok"


def test_dicom_of_an_odd_name_is_a_row_too(bucket, many, tiny_model, tmp_path):
    content = next((many / "two/one").iterdir()).read_bytes()
    for name in ("a//b.dcm", "a/../c.dcm", "//d"):
        bucket.put(f"odd/{name}", content)
    found = scans_in(place_of(f"{bucket.url}/odd"), tmp_path / "out")
    assert list(found.scans) == ["a/../c.dcm", "a//b.dcm"]
    assert found.left_out == {"without ending": 1}
    run(f"{bucket.url}/odd", tiny_model, tmp_path / "out")
    rows = report(tmp_path / "out")
    assert rows["a//b.dcm"]["status"] == "ok"
    assert "a step of its address" in rows["a/../c.dcm"]["error"]


def test_results_of_earlier_runs_are_no_scans(bucket, scans, tiny_model, tmp_path):
    run(scans, tiny_model, tmp_path / "out", overlays="all")
    bucket.upload(tmp_path / "out", "scans/out")
    bucket.upload(scans, "scans")
    found = scans_in(place_of(f"{bucket.url}/scans"), tmp_path / "elsewhere").scans
    assert list(found) == sorted(find_sources(scans))


def test_a_list_says_what_would_be_scored(bucket, many, tmp_path, spools):
    address = bucket.upload(many, "scans")
    bucket.put("scans/bad.nii", b"no volume")
    stored = listing.list_scans(place_of(address), tmp_path / "out", USUAL).scans
    here = listing.list_scans(many, tmp_path / "out", USUAL).scans
    assert [it for it in stored if it.scan != "bad.nii"] == list(here)
    assert [it.claim for it in stored if it.scan == "bad.nii"] == [None]
    assert not list(spools.iterdir())


def test_a_folder_that_is_not_there_and_lists_are_refused(bucket, tmp_path):
    with pytest.raises(UnreadableScanError, match="holds no scans"):
        scans_in(place_of(f"{bucket.url}/none"), tmp_path)
    with pytest.raises(UnreadableScanError, match="a list of scans is not read"):
        scans_in(place_of(bucket.put("list.txt", b"a.png")), tmp_path)
    (tmp_path / "list.txt").write_text("s3://bucket/a.png")
    with pytest.raises(UnreadableScanError, match="lists an address"):
        scans_in(tmp_path / "list.txt", tmp_path)
    (tmp_path / "list.txt").write_text("s3://key:secret@bucket/a.png")
    with pytest.raises(UnknownChoiceError, match="with a key"):
        scans_in(tmp_path / "list.txt", tmp_path)


def test_versions_of_several_objects_are_one_and_none_of_one_is_none(bucket):
    found = list(map(bucket.stored, ("a", "b")))
    assert version_of(found) == version_of(found[::-1]) != version_of(found[:1])
    assert version_of([found[0], found[1]._replace(version="")]) == ""
    assert version_of([]) == ""


def test_nothing_that_is_written_holds_a_key(store, bucket, scans, tiny_model, tmp_path, quick):
    address = bucket.upload(scans, "scans")
    store.choose = lambda method, path: "500" if "healthy" in path else None
    run(address, tiny_model, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert KEY.encode() not in path.read_bytes()
