"""A run beside the normals of its model: silent on scans like these, loud on others."""

import json
from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest

from infer import batch
from infer.interruption import Interruption
from infer.manifest import Normals, from_json, to_json
from infer.monitoring import Monitor, Scored, in_lines, monitoring_from
from infer.traits import Traits
from tests.infer.test_batch import run
from tests.infer.test_report_html import data_in
from tests.infer.tiny_model import MANIFEST, write_tiny_model

PICTURE = (1, 40, 50)
UNKNOWN_MM = (0.0, 0.0, 0.0)


def pixels(rng):
    return rng.normal(90, rng.uniform(10, 25), PICTURE[1:]) + rng.normal(0, 2)


def healthy(folder, *, count=12, seed=1, change=lambda picture: picture):
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for at in range(count):
        picture = np.clip(change(pixels(rng)), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{at:03}.png"), picture)
    return folder


def entries_of(out):
    return [json.loads(line) for line in (out / ".uad-journal.jsonl").read_text().splitlines()]


def record(out):
    return json.loads((out / "run.json").read_text())["monitoring"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model whose table of normals is that of 30 pictures, as a run has seen them."""
    place = tmp_path_factory.mktemp("monitored")
    plain = write_tiny_model(place / "plain.onnx")
    run(healthy(place / "normals", count=30, seed=0), plain, place / "out")
    entries = entries_of(place / "out")
    traits = [entry["traits"] for entry in entries]
    normals = Normals(
        scores=tuple(sorted(entry["row"]["score"] for entry in entries)),
        intensity_mean=tuple(it[0] for it in traits),
        intensity_std=tuple(it[1] for it in traits),
        sizes=(PICTURE[1:],),
        spacings_mm=(),
        scan_sizes=tuple(tuple(it[2]) for it in traits),
        scan_spacings_mm=tuple(tuple(it[3]) for it in traits),
    )
    return write_tiny_model(place / "model.onnx", replace(MANIFEST, normals=normals))


def test_scans_like_the_normals_are_passed_over_in_silence(model, tmp_path):
    run(healthy(tmp_path / "scans"), model, tmp_path / "out")
    said = record(tmp_path / "out")
    assert said["verdict"] == "as expected"
    assert set(said["axes"].values()) == {"as expected"}
    assert said["warnings"] == said["notes"] == []


SHIFTS = {
    "inverted": (lambda picture: 255 - picture, "intensity"),
    "brighter": (lambda picture: picture * 2, "intensity"),
    "larger": (lambda picture: cv2.resize(picture, None, fx=2, fy=2), "geometry"),
}


@pytest.mark.parametrize("shift", SHIFTS)
def test_other_scans_are_warned_of_on_their_axis(shift, model, tmp_path):
    change, axis = SHIFTS[shift]
    run(healthy(tmp_path / "scans", change=change), model, tmp_path / "out")
    said = record(tmp_path / "out")
    assert said["axes"][axis] == said["verdict"] == "shifted"
    assert any(line.startswith(axis) for line in said["warnings"])
    shown = data_in((tmp_path / "out/report.html").read_text())["monitoring"]
    assert shown["warnings"] == said["warnings"]


def test_volumes_given_to_a_model_of_pictures_are_warned_of(model, tmp_path):
    (tmp_path / "scans").mkdir()
    for at in range(6):
        voxels = np.full((22, 20, 9), 30 + at, np.float32)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / f"scans/{at}.nii.gz")
    run(tmp_path / "scans", model, tmp_path / "out")
    assert record(tmp_path / "out")["axes"]["geometry"] == "shifted"


def test_many_abnormal_scans_are_a_note_and_no_warning(model, tmp_path):
    def with_lesion(picture):
        picture[12:14, 30:32] = 255  # too little to change an image as a whole
        return picture

    run(healthy(tmp_path / "scans", change=with_lesion), model, tmp_path / "out")
    said = record(tmp_path / "out")
    assert said["axes"]["score"] == said["verdict"] == "higher"
    assert (said["warnings"], len(said["notes"])) == ([], 1)


def test_a_run_that_goes_on_speaks_for_the_scans_done_before(model, tmp_path):
    scans = healthy(tmp_path / "scans", change=SHIFTS["inverted"][0])
    run(scans, model, tmp_path / "whole")
    later = tmp_path / "000.png"
    (scans / "000.png").rename(later)
    run(scans, model, tmp_path / "out")
    later.rename(scans / "000.png")
    assert run(scans, model, tmp_path / "out").resumed == 11
    assert record(tmp_path / "out") == record(tmp_path / "whole")


def test_results_from_before_monitoring_count_by_their_score(model, tmp_path):
    scans, out = healthy(tmp_path / "scans"), tmp_path / "out"
    run(scans, model, out)
    entries = entries_of(out)
    for entry in entries:
        del entry["traits"]
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    (out / ".uad-journal.jsonl").write_text(text)
    assert run(scans, model, out).resumed == 12
    looks = record(out)["looks"]
    assert looks["score"]["scans"]["count"] == 12
    assert looks["intensity_mean"]["scans"]["count"] == 0


def test_an_interrupted_run_says_what_it_can(model, tmp_path):
    interruption = Interruption()
    interruption.requested = True
    run(healthy(tmp_path / "scans"), model, tmp_path / "out", interruption=interruption)
    assert record(tmp_path / "out")["verdict"] == "too few scans"


def test_several_processes_say_the_same(model, tmp_path, monkeypatch):
    scans = healthy(tmp_path / "scans", count=24, change=SHIFTS["inverted"][0])
    run(scans, model, tmp_path / "one", workers=1)
    monkeypatch.setattr(batch, "FEW_CHUNKS", 1)
    run(scans, model, tmp_path / "two", workers=2)
    assert record(tmp_path / "one") == record(tmp_path / "two")


# ---- without files ----

NORMALS = Normals(
    scores=tuple(np.linspace(1, 2, 30).tolist()),
    intensity_mean=tuple(np.linspace(0.3, 0.4, 30).tolist()),
    intensity_std=tuple(np.linspace(0.1, 0.2, 30).tolist()),
    sizes=(PICTURE[1:],),
    spacings_mm=(),
    scan_sizes=(PICTURE,) * 30,
    scan_spacings_mm=(UNKNOWN_MM,) * 30,
)


def scan(at, *, score=1.5, mean=0.35):
    shares = Traits(mean + at / 1000, 0.15 + at / 1000, PICTURE, UNKNOWN_MM)
    return Scored(score + at / 100, shares)


def monitored(scans, normals=NORMALS):
    monitor = Monitor(normals)
    monitor.add(scans)
    return monitor.judged()


def test_slices_that_lie_further_apart_are_a_warning():
    one_mm = replace(NORMALS, scan_sizes=((30, 40, 50),) * 30, scan_spacings_mm=((1.0,) * 3,) * 30)
    others = [scan(at) for at in range(20)]
    thick = [
        it._replace(traits=it.traits._replace(size=(30, 40, 50), spacing_mm=(3.0, 1.0, 1.0)))
        for it in others
    ]
    (line,) = monitored(thick, one_mm).warnings
    assert line.startswith(
        "geometry: mm between slices 3 in all of 20 scans, 1 in all of 30 normal scans "
    )


def test_lower_scores_are_a_warning():
    lines = list(in_lines(monitored([scan(at, score=0.1) for at in range(20)])))
    assert [line.split(":")[0] for line in lines] == ["warning"]


def test_a_model_of_before_compares_what_it_has():
    older = json.loads(to_json(replace(MANIFEST, normals=NORMALS)))
    for name in ("scan_sizes", "scan_spacings_mm"):
        del older["normals"][name]
    normals = from_json(json.dumps(older), where="older").normals
    assert monitored(map(scan, range(20)), normals).axes == {
        "score": "as expected",
        "intensity": "as expected",
        "geometry": "not recorded",
    }


def test_a_model_without_normals_says_nothing():
    empty = Normals(scores=(), intensity_mean=(), intensity_std=(), sizes=(), spacings_mm=())
    said = monitored(map(scan, range(20)), empty)
    assert said.verdict == "not recorded"
    assert list(in_lines(said)) == []


def test_records_of_runs_add_up_to_that_of_all_scans():
    scans = [scan(at, mean=0.7) for at in range(30)]
    runs = [monitored(scans[:7]), monitored(scans[7:])]
    together = monitoring_from([json.loads(json.dumps(it.as_record())) for it in runs])
    whole = monitored(scans)
    assert together.axes == whole.axes
    assert together.warnings == whole.warnings


def test_records_beside_other_normals_do_not_add_up():
    other = replace(NORMALS, scores=(1.0, 1.0, 2.0))
    records = [monitored([scan(0)], normals).as_record() for normals in (NORMALS, other)]
    with pytest.raises(ValueError, match="different normals"):
        monitoring_from(records)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_no_number_does_not_count(broken):
    said = monitored([scan(0), scan(1, mean=broken)])
    assert said.compared["intensity_mean"].scans.count == 1
    json.dumps(said.as_record(), allow_nan=False)
