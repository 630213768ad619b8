"""--part and --merge: the parts of a job, joined, are the job done by one run."""

import csv
import fcntl
import json
import shutil
from dataclasses import fields, replace

import pytest
from typer.testing import CliRunner

from infer.cli import app
from infer.options import Options
from tests.infer.tiny_model import MANIFEST, write_tiny_model, write_tiny_scans

PARTS = 3


def uad_infer(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def score(scans, model, out, *further):
    options = ("--device", "cpu", "--batch-size", "4", "--overlays", "anomalous", "--quiet")
    return uad_infer(scans, "--model", model, "--out", out, *options, *further)


def merge(folders, out):
    return uad_infer("--merge", *folders, "--out", out)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    folder = write_tiny_scans(tmp_path_factory.mktemp("data") / "scans", pictures=20)
    (folder / "a,broken\n.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def once(scans, tiny_model, tmp_path_factory):
    """The whole folder by one run, and by three; never written to by a test."""
    place = tmp_path_factory.mktemp("once")
    assert score(scans, tiny_model, place / "whole").exit_code == 1
    for number in range(1, PARTS + 1):
        score(scans, tiny_model, place / f"part{number}", "--part", f"{number}/{PARTS}")
    return place


@pytest.fixture
def done(once, tmp_path):
    """A copy of it that a test may change."""
    return shutil.copytree(once, tmp_path / "done")


def parts(done):
    return [done / f"part{number}" for number in range(1, PARTS + 1)]


def rows(out, name="report.csv"):
    with (out / name).open(newline="") as text:
        return list(csv.DictReader(text))


def without_places(row):
    return {name: cell for name, cell in row.items() if name not in ("seconds", "mask")}


def refusal(outcome):
    assert outcome.exit_code == 2
    error, hint = outcome.stderr.splitlines()
    assert hint.startswith("hint: ")
    return error


def test_every_scan_is_in_one_part(done):
    shares = [{row["scan"] for row in rows(part)} for part in parts(done)]
    assert all(shares)
    assert sum(map(len, shares)) == len(set().union(*shares)) == len(rows(done / "whole"))


def test_the_joined_report_is_that_of_one_run(done):
    merged = merge(parts(done), done / "all")
    assert merged.exit_code == 1  # a scan failed, as in the run of the whole
    assert "22 scans in 3 reports: 21 ok" in merged.stdout
    assert [without_places(row) for row in rows(done / "all")] == [
        without_places(row) for row in rows(done / "whole")
    ]
    slices = (done / "all/slices.csv").read_bytes()
    assert slices == (done / "whole/slices.csv").read_bytes()


def test_masks_are_found_from_the_joined_report(done):
    merge(parts(done), done / "all")
    whole = {row["scan"]: row["mask"] for row in rows(done / "whole")}
    for row in rows(done / "all"):
        if row["status"] == "ok":
            mask = (done / "all" / row["mask"]).read_bytes()
            assert mask == (done / "whole" / whole[row["scan"]]).read_bytes()
    assert not (done / "all/masks").exists()


def test_a_report_above_its_parts_names_masks_below_it(done):
    jobs = done / "job"
    for part in parts(done):
        shutil.move(part, jobs / part.name)
    assert merge(sorted(jobs.iterdir()), jobs).exit_code == 1
    assert all(row["mask"].startswith("part") for row in rows(jobs) if row["mask"])


def test_the_page_shows_every_scan_with_its_picture(done):
    merge(parts(done), done / "all")
    page = (done / "all/report.html").read_text()
    data, _ = json.JSONDecoder().raw_decode(page[page.index('{"run"') :])
    shown = [dict(zip(data["columns"], row, strict=True)) for row in data["rows"]]
    assert sorted(row["scan"] for row in shown) == [row["scan"] for row in rows(done / "all")]
    pictures = [row["overlay"] for row in shown if row["overlay"]]
    assert len(pictures) == sum(row["anomalous"] == "true" for row in rows(done / "all"))
    assert all((done / "all" / picture).is_file() for picture in pictures)
    assert data["normals"] == [0.1, 0.2, 0.3, 0.4]


def test_run_json_counts_all_and_names_each_part(done):
    merge(parts(done), done / "all")
    run = json.loads((done / "all/run.json").read_text())
    whole = json.loads((done / "whole/run.json").read_text())
    assert run["outcome"] == "finished"
    assert run["counts"] == whole["counts"]
    assert run["model"] == whole["model"]
    assert [it["part"] for it in run["merged"]] == ["1/3", "2/3", "3/3"]
    assert [it["folder"] for it in run["merged"]] == ["../part1", "../part2", "../part3"]


def test_all_parts_together_are_compared_with_the_normals_as_one_run(done):
    merge(parts(done), done / "all")
    joined, whole = (
        json.loads((done / name / "run.json").read_text())["monitoring"]
        for name in ("all", "whole")
    )
    for name, look in whole["looks"].items():
        # A sum of means is not quite the mean of all.
        assert joined["looks"][name]["scans"] == pytest.approx(look["scans"])
        joined["looks"][name]["scans"] = look["scans"]
    assert joined == whole
    assert whole["looks"]["score"]["scans"]["count"] == 21


def test_parts_that_say_they_were_compared_with_different_normals_are_refused(done):
    run = json.loads((done / "part2/run.json").read_text())
    run["monitoring"]["looks"]["score"]["normals"]["cells"] = "1 1 1 2"
    (done / "part2/run.json").write_text(json.dumps(run))
    error = refusal(merge(parts(done), done / "all"))
    assert "run.json of a part is not as it was written: they were compared with diff" in error


@pytest.mark.parametrize(("part", "expected"), [(True, 2), (False, 6)])
def test_files_that_each_part_left_out_are_the_same_and_those_of_other_runs_are_not(
    done, part, expected
):
    for folder in parts(done):
        run = json.loads((folder / "run.json").read_text())
        run["left_out"] = {".gif": 2}
        run["options"]["part"] = run["options"]["part"] if part else None
        (folder / "run.json").write_text(json.dumps(run))
    merge(parts(done), done / "all")
    assert json.loads((done / "all/run.json").read_text())["left_out"] == {".gif": expected}


def test_missing_parts_are_named(done):
    merged = merge(parts(done)[1:2], done / "all")
    assert merged.exit_code == 1
    assert merged.stderr == "missing: part 1/3 was not given\nmissing: part 3/3 was not given\n"
    run = json.loads((done / "all/run.json").read_text())
    assert run["outcome"] == "incomplete"
    assert run["missing"] == ["part 1/3 was not given", "part 3/3 was not given"]
    page = (done / "all/report.html").read_text()
    assert '"missing":["part 1/3 was not given","part 3/3 was not given"]' in page


def test_merging_again_with_what_was_missing_completes_it(done):
    merge(parts(done)[:2], done / "all")
    assert merge(parts(done), done / "all").stderr == ""
    assert len(rows(done / "all")) == len(rows(done / "whole"))


def test_an_unfinished_part_is_named(done):
    run = json.loads((done / "part2/run.json").read_text())
    run["outcome"], run["counts"]["unfinished"] = "interrupted", 4
    run["counts"]["scans"] += 4
    (done / "part2/run.json").write_text(json.dumps(run))
    merged = merge(parts(done), done / "all")
    assert merged.exit_code == 1
    assert merged.stderr == f"missing: 4 scans of {done}/part2: its run was interrupted\n"


def test_runs_without_parts_are_joined_if_they_share_no_scan(done, tmp_path, tiny_model):
    other = write_tiny_scans(tmp_path / "other", pictures=3)
    for path in sorted(other.rglob("*.*")):
        path.rename(path.with_name(f"other-{path.name}"))
    score(other, tiny_model, done / "other")
    merged = merge([done / "whole", done / "other"], done / "all")
    assert (merged.exit_code, merged.stderr) == (1, "")
    assert len(rows(done / "all")) == 22 + 4


def test_the_same_part_twice_is_refused(done):
    shutil.copytree(done / "part1", done / "copy")
    error = refusal(merge([*parts(done), done / "copy"], done / "all"))
    assert error == f"error: part 1/3 is there 2 times: {done}/part1, {done}/copy"
    assert not (done / "all").exists()


def test_a_scan_in_two_reports_is_refused(done):
    shutil.copytree(done / "whole", done / "copy")
    error = refusal(merge([done / "whole", done / "copy"], done / "all"))
    assert f"is in {done}/whole and in {done}/copy" in error


def test_parts_of_different_jobs_are_refused(done, scans, tiny_model):
    score(scans, tiny_model, done / "quarter", "--part", "4/4")
    error = refusal(merge([done / "part1", done / "quarter"], done / "all"))
    assert "not the parts of one job: 1/3, 4/4" in error
    error = refusal(merge([done / "part1", done / "whole"], done / "all"))
    assert "not the parts of one job: 1/3, no part" in error


def test_different_options_are_refused_and_named(done, scans, tiny_model):
    score(scans, tiny_model, done / "part2", "--part", "2/3", "--threshold", "0.2")
    error = refusal(merge(parts(done), done / "all"))
    assert error.endswith("do not belong together: --threshold is 0.2 there and None here")


def test_different_models_are_refused(done, scans, tmp_path):
    other = write_tiny_model(tmp_path / "other.onnx", replace(MANIFEST, study="other"))
    score(scans, other, done / "part2", "--part", "2/3")
    assert "the model is " in refusal(merge(parts(done), done / "all"))


# Of each option: must parts agree on it? A new one belongs into one of these, and into `_FREE` of
# infer/merge.py if they need not.
SHAPES_RESULTS = {
    *("precision", "threshold", "map_threshold"),
    *("keep_identifiers", "volume", "max_voxels", "require_signature"),
}
MAY_DIFFER = {
    *("device", "batch_size", "workers", "overlays", "maps", "dicom_seg"),
    *("overwrite", "max_failures", "part", "executor", "ray_address", "retries"),
    "tensorrt_cache",
}


def test_it_is_known_of_every_option_whether_it_shapes_results():
    assert {field.name for field in fields(Options)} == SHAPES_RESULTS | MAY_DIFFER
    assert not SHAPES_RESULTS & MAY_DIFFER


@pytest.mark.parametrize("name", sorted((SHAPES_RESULTS | MAY_DIFFER) - {"part"}))
def test_parts_must_agree_on_what_shapes_results_and_on_nothing_else(done, name):
    run = json.loads((done / "part2/run.json").read_text())
    assert name in run["options"]
    run["options"][name] = "another"
    (done / "part2/run.json").write_text(json.dumps(run))
    merged = merge(parts(done), done / "all")
    if name in MAY_DIFFER:
        assert merged.stderr == ""
    else:
        assert f"--{name.replace('_', '-')} is another there" in refusal(merged)


def test_options_that_change_no_result_may_differ(done, scans, tiny_model):
    score(scans, tiny_model, done / "part2", "--part", "2/3", "--workers", "1", "--maps")
    assert merge(parts(done), done / "all").stderr == ""


def test_a_run_that_was_killed_is_refused(done):
    (done / "part2/run.json").unlink()
    assert "part2 has no run.json: its run was killed" in refusal(merge(parts(done), done / "all"))


def test_a_report_that_lost_a_row_is_refused(done):
    report = done / "part2/report.csv"
    report.write_text("".join(report.read_text().splitlines(keepends=True)[:-1]))
    assert "was changed after its run" in refusal(merge(parts(done), done / "all"))


def test_a_run_that_still_goes_on_is_refused(done):
    with (done / "part2/.uad-lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        error = refusal(merge(parts(done), done / "all"))
    assert error == f"error: an uad-infer is writing to {done}/part2"


def test_a_folder_of_something_else_is_refused(done, tmp_path):
    assert "holds no results of uad-infer" in refusal(merge([tmp_path], done / "all"))
    assert "--merge needs the folders" in refusal(merge([], done / "all"))


@pytest.mark.parametrize("out", ["part1", "whole"])
def test_a_report_of_a_run_is_never_replaced(done, out):
    before = (done / out / "report.csv").read_bytes()
    assert "holds the results of a run" in refusal(merge(parts(done), done / out))
    assert (done / out / "report.csv").read_bytes() == before


def test_nor_is_that_of_a_run_that_could_score_nothing(done, tmp_path, tiny_model):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/x.png").write_bytes(b"no picture")
    score(tmp_path / "broken", tiny_model, done / "failed")
    before = (done / "failed/report.csv").read_bytes()
    assert "holds the results of a run" in refusal(merge(parts(done), done / "failed"))
    assert (done / "failed/report.csv").read_bytes() == before


def test_two_parts_into_one_folder_are_refused_or_the_report_would_lose_one(
    done, scans, tiny_model
):
    """And the part that was there can still be merged."""
    names = ("report.csv", "run.json", "report.html")
    before = [(done / "part1" / name).read_bytes() for name in names]
    error = refusal(score(scans, tiny_model, done / "part1", "--part", "2/3"))
    assert "holds results of scans that are not in this part" in error
    assert [(done / "part1" / name).read_bytes() for name in names] == before


def test_a_report_that_a_spreadsheet_has_saved_is_refused_in_words(done):
    report = done / "part2/report.csv"
    report.write_bytes(report.read_bytes().replace(b",true,", b",TRUE,"))
    assert "report.csv cannot be read" in refusal(merge(parts(done), done / "all"))


def test_masks_are_found_from_a_joined_report_whose_folder_is_a_link(done, tmp_path):
    (tmp_path / "deep/er").mkdir(parents=True)
    (done / "all").symlink_to(tmp_path / "deep/er")
    merge(parts(done), done / "all")
    masks = [row["mask"] for row in rows(done / "all") if row["mask"]]
    assert masks
    assert all((tmp_path / "deep/er" / mask).is_file() for mask in masks)


def test_a_part_without_scans_is_no_error(done, tmp_path, tiny_model):
    few = write_tiny_scans(tmp_path / "few", pictures=1)
    for number in range(1, 9):
        assert score(few, tiny_model, done / f"few{number}", "--part", f"{number}/8").exit_code == 0
    merged = merge([done / f"few{number}" for number in range(1, 9)], done / "all")
    assert (merged.exit_code, len(rows(done / "all"))) == (0, 2)


def test_a_part_that_is_none_is_wrong_use(scans, tiny_model, tmp_path):
    assert "'4/3' is not a part" in refusal(
        score(scans, tiny_model, tmp_path / "out", "--part", "4/3")
    )


def test_a_part_is_not_merged(done):
    error = refusal(uad_infer("--merge", done / "part1", "--part", "1/2", "--out", done / "all"))
    assert "--part does nothing beside --merge" in error


def test_several_folders_are_not_scored_at_once(scans, tiny_model, tmp_path):
    error = refusal(uad_infer(scans, scans, "--model", tiny_model, "--out", tmp_path / "out"))
    assert "one FOLDER is scored at a time, found 2" in error
