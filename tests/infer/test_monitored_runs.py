"""--monitor: many runs beside their models' normals, as a table, as records and as a page."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from infer.cli import app
from tests.infer.test_merge import merge, score
from tests.infer.test_monitoring import NORMALS, monitored, scan
from tests.infer.tiny_model import write_tiny_scans

DAY = "2026-01-{:02}T03:04:05+00:00"
MODEL = {"sha256": "a" * 64, "method": "blur", "study": "tiny", "modality": "CT"}


def write_run(folder, day, scans, *, model=MODEL, normals=NORMALS, **further):
    """What --monitor reads of a run."""
    record = {
        "timing": {"finished": DAY.format(day)},
        "model": model,
        "monitoring": monitored(scans, normals).as_record(),
        **further,
    }
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def usual(count=20):
    return [scan(at % 20) for at in range(count)]


def bright(count=20):
    return [scan(at % 20, mean=0.9) for at in range(count)]


def uad_infer(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*folders):
    done = uad_infer("--monitor", *folders, "--json")
    return json.loads(done.stdout)


@pytest.fixture
def runs(tmp_path):
    """Three days of one model, the last shifted."""
    place = tmp_path / "runs"
    write_run(place / "b", 1, usual())
    write_run(place / "a", 2, usual())
    write_run(place / "deep/c", 3, bright())
    return place


def test_runs_are_in_the_order_of_time_whatever_they_are_called(runs):
    (model,) = as_json(runs)["models"]
    assert [run["folder"] for run in model["runs"]] == [
        str(runs / name) for name in ("b", "a", "deep/c")
    ]
    assert [run["verdict"] for run in model["runs"]] == ["as expected", "as expected", "shifted"]


def test_the_table_has_a_line_for_each_run_and_one_for_all(runs, tmp_path):
    done = uad_infer("--monitor", runs, "--out", tmp_path / "page")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert "blur, study tiny (CT), file aaaaaaaaaaaa: 3 runs, 60 scans" in lines[0]
    assert [line.split()[-1] for line in lines[2:5]] == [
        str(runs / name) for name in ("b", "a", "deep/c")
    ]
    assert "shifted" in lines[4]
    assert "shifted" not in lines[2]
    assert lines[5].endswith("all together")
    assert lines[6].startswith("last run: warning: intensity: mean of the images")


def test_models_are_kept_apart(runs, tmp_path):
    write_run(tmp_path / "other", 9, usual(), model=MODEL | {"sha256": "b" * 64})
    models = as_json(runs, tmp_path / "other")["models"]
    assert [it["model"]["sha256"][0] for it in models] == ["b", "a"]
    assert [len(it["runs"]) for it in models] == [1, 3]


def test_runs_too_small_to_tell_tell_it_together(tmp_path):
    for day in range(1, 11):
        write_run(tmp_path / str(day), day, bright(3))
    (model,) = as_json(tmp_path)["models"]
    assert {run["verdict"] for run in model["runs"]} == {"too few scans"}
    assert model["together"]["axes"]["intensity"] == "shifted"


def test_a_folder_that_is_named_twice_counts_once(runs):
    (model,) = as_json(runs, runs / "a", runs / ".." / "runs")["models"]
    assert len(model["runs"]) == 3


def test_parts_are_counted_once_where_their_merged_report_is_there(tiny_model, tmp_path):
    scans = write_tiny_scans(tmp_path / "scans", pictures=12)
    parts = [tmp_path / f"jobs/part{number}" for number in (1, 2)]
    for number, part in enumerate(parts, 1):
        score(scans, tiny_model, part, "--part", f"{number}/2")
    merge(parts, tmp_path / "jobs/whole")
    told = as_json(tmp_path / "jobs")
    (model,) = told["models"]
    assert [run["folder"] for run in model["runs"]] == [str(tmp_path / "jobs/whole")]
    assert [it["folder"] for it in told["left_out"]] == [str(part) for part in parts]


BROKEN = {
    "killed": (None, "it was killed, or still goes on"),
    "of something else": ("[]", "is not the record of a run"),
    "no JSON": ("{", "is not the record of a run"),
    "before": (json.dumps({"model": MODEL, "timing": {"finished": DAY.format(1)}}), "start it"),
    "odd": (json.dumps({"monitoring": {"looks": 7}, "timing": 1}), "is not the record of a run"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_compared_is_left_out_and_named(kind, runs, tmp_path):
    text, why = BROKEN[kind]
    (runs / "broken").mkdir()
    (runs / "broken/.uad-journal.jsonl").touch()
    if text is not None:
        (runs / "broken/run.json").write_text(text)
    done = uad_infer("--monitor", runs, "--out", tmp_path / "page")
    assert done.exit_code == 1
    assert done.stderr.startswith(f"left out: {runs / 'broken'}: ")
    assert why in done.stderr
    assert "3 runs" in done.stdout


def test_a_run_beside_other_normals_than_its_model_has_is_left_out(runs):
    write_run(runs / "z", 9, usual(), normals=replace(NORMALS, scores=(1.0, 1.0, 2.0)))
    told = as_json(runs)
    assert len(told["models"][0]["runs"]) == 3
    assert "different normals" in told["left_out"][0]["why"]


def test_nothing_is_looked_for_below_the_results_of_a_run(runs):
    write_run(runs / "a/masks/odd", 5, usual())
    assert len(as_json(runs)["models"][0]["runs"]) == 3


def refusal(done):
    assert done.exit_code == 2
    error, hint = done.stderr.splitlines()
    assert hint.startswith("hint: ")
    return error


def test_runs_behind_links_are_found_and_each_counts_once(runs, tmp_path):
    write_run(tmp_path / "elsewhere/d", 4, usual())
    (runs / "one").symlink_to(tmp_path / "elsewhere")
    (runs / "two").symlink_to(tmp_path / "elsewhere")
    (runs / "deep/back").symlink_to(runs)
    (runs / "up").symlink_to(tmp_path)  # to `elsewhere`, which is nobody's to find
    folders = [run["folder"] for run in as_json(runs)["models"][0]["runs"]]
    assert folders == [str(runs / it) for it in ("b", "a", "deep/c", "one/d")]


def test_a_folder_without_runs_is_refused(tmp_path):
    assert "holds no run of uad-infer" in refusal(uad_infer("--monitor", tmp_path))
    assert "--monitor needs the folders of runs" in refusal(uad_infer("--monitor"))


def test_a_folder_that_is_not_there_is_refused(runs, tmp_path):
    error = refusal(uad_infer("--monitor", runs, tmp_path / "nowhere"))
    assert error == f"error: {tmp_path / 'nowhere'} cannot be listed: No such file or directory"


@pytest.mark.parametrize("option", ["--merge", "--list"])
def test_it_does_nothing_else_at_the_same_time(option, runs):
    error = refusal(uad_infer("--monitor", runs, option))
    assert f"{option} does nothing beside --monitor" in error


def test_a_page_of_somebody_else_is_not_replaced(runs, tmp_path):
    (tmp_path / "monitoring.html").write_text("mine")
    done = uad_infer("--monitor", runs, "--out", tmp_path)
    assert "is no page of --monitor" in refusal(done)
    assert (tmp_path / "monitoring.html").read_text() == "mine"
    shutil.move(tmp_path / "monitoring.html", tmp_path / "kept.html")
    for _ in range(2):  # its own, it replaces
        assert uad_infer("--monitor", runs, "--out", tmp_path).exit_code == 0


# ---- the page ----


def page(*folders, out):
    uad_infer("--monitor", *folders, "--out", out)
    return (out / "monitoring.html").read_text()


def test_each_run_has_a_mark_in_each_drawing_in_its_colour(runs, tmp_path):
    text = page(runs, out=tmp_path / "page")
    drawings = dict(re.findall(r"<figcaption>(.*?)</figcaption>(.*?)</figure>", text))
    assert list(drawings) == ["score", "mean of the images", "standard deviation of the images"]
    for words, drawing in drawings.items():
        marks = re.findall(r'class="mark (.*?)"', drawing)
        last = "shifted" if words == "mean of the images" else "as-expected"
        assert marks == ["as-expected", "as-expected", last]
    assert "The same in all scans and normals: slices, height in voxels" in text


def test_it_fetches_nothing_and_runs_nothing(runs, tmp_path):
    text = page(runs, out=tmp_path / "page")
    assert "default-src 'none'; style-src 'sha256-" in text
    assert not re.search(r"https?:|<script|url\(|@import|<img|href|src=", text)


def test_no_name_becomes_markup(tmp_path):
    name = "<img src=x>\"'&\u202e"
    write_run(tmp_path / "runs" / name, 1, usual(), model=MODEL | {"method": name})
    text = page(tmp_path / "runs", out=tmp_path / "page")
    assert "<img" not in text
    assert "\u202e" not in text
    assert text.count("&lt;img src=x&gt;") >= 2
