"""Each group in turn: what is run, what is not run again, and what is refused. Stages are fakes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from export import kept_voxels, registry, rotation
from export.localisation import Where
from export.stages import rotate as stage
from infer.errors import UadError
from tests.train.phantom_study import REPOSITORY
from train.data import ImageRow, SplitCase
from train.datasets.case import Case
from train.metrics import count_pixels
from train.params import BadParamsError, Params, load
from train.paths import checkpoint_path
from train.stored_images import StoredImages

GROUPS = ("anna", "ben")
NOTHING_ELSE: dict[str, Any] = {
    **{"name": "", "map_thresholds": {}, "kinds": {}, "groups": {}, "sizes": {}},
    **{"lesions": (), "scans": ()},
}
IMAGES = np.random.default_rng(0).random((4, 1, 8, 8), np.float32)


@pytest.fixture
def params(tmp_path, monkeypatch):
    found = load("studies/brats2015/params.yaml")
    monkeypatch.chdir(tmp_path)
    return Params(found.path, {**found.values, "study": "tiny", "methods": ["vae"]})


@pytest.fixture
def ran(params, monkeypatch):
    """Which stages ran, in order."""
    calls = []

    def run_module(module, file, *arguments):
        name, study = module.rsplit(".", 1)[1], load(file).study
        calls.append((name, study))
        if name == "fit":
            checkpoint = checkpoint_path(study, arguments[0])
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.write_bytes(b"weights")
        if name != "evaluate":
            return
        for part, content in (
            ("evaluate/vae_where.json", {"dice": 0.5, "dice_mean": 0.5}),
            ("fit/vae.json", {"fit_seconds": 3.0}),
        ):
            path = Path("reports") / study / part
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))
        values = np.array([[0.1, 0.2], [0.8, 0.9]], np.float32)
        pixels = count_pixels(values, values > 0.5, values > 0.5)
        kept_voxels.save(Path("reports") / study / "evaluate/vae/voxels.npz", [pixels])

    def cases(study):
        return [
            SplitCase(
                case=Case(scan=Path(f"{group}.nii.gz"), group=group, normal=False, mask=None),
                split="test" if at == int(study[-1]) else "train",
            )
            for at, group in enumerate(GROUPS)
        ]

    fakes = {
        "run_module": run_module,
        "measure_baseline": lambda *given: SimpleNamespace(
            where=Where(metrics={"dice": 0.25}, **NOTHING_ELSE)
        ),
        "open_images": lambda *given: (StoredImages(IMAGES, np.arange(4)), np.zeros(4, bool)),
        "load_cases": cases,
        "load_rows": lambda study: [
            ImageRow(scan=Path(f"{study}.nii"), slice=0, split="train", normal=True, position=0.5)
        ],
        "data_hash": lambda study: "hash",
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(stage, name, fake)
    monkeypatch.setattr(registry, "log_comparison", lambda *given, **named: None)
    return calls


def run(params, methods=(), **changes):
    stage.rotate(params, methods, **{"fits": True, "command": "c", "keep": False, **changes})


def test_every_group_goes_through_all_stages_once(params, ran):
    run(params)
    assert ran == [
        (name, f"tiny_fold{fold}")
        for fold in (0, 1)
        for name in ("prepare", "fit", "export", "evaluate")
    ]


def test_the_table_has_each_group_under_every_model_and_baseline(params, ran):
    run(params)
    table = Path("reports/tiny/rotate.csv").read_text()
    assert "vae,0,anna,dice,0.5" in table
    assert "intensity_threshold,1,ben,dice,0.25" in table
    assert "better in 2 of 2 groups" in Path("reports/tiny/rotate.md").read_text()


def test_voxels_of_all_groups_are_told_together_of_what_kept_them(params, ran):
    run(params)
    lines = Path("reports/tiny/rotate.md").read_text().splitlines()
    (vae,) = [it for it in lines if it.startswith("| **vae**")]
    (threshold,) = [it for it in lines if it.startswith("| *intensity_threshold*")]
    assert vae.endswith("| 1.000 | 1.000 | 3 |")
    assert threshold.endswith("|  |  |  |")


def test_what_is_done_is_not_run_again_and_other_numbers_are(params, ran):
    run(params)
    ran.clear()
    run(params)
    assert {name for name, _ in ran} == {"prepare"}
    ran.clear()
    augment = {**params.values["augment"], "rotation_degrees": 1.0}
    run(Params(params.path, {**params.values, "augment": augment}))
    assert ("fit", "tiny_fold1") in ran


def test_a_fold_that_was_left_when_a_group_went_is_not_in_the_table(
    params, ran, monkeypatch, capsys
):
    run(params)
    before = stage.load_cases

    def without_ben(study):
        """As it is prepared now; the second fold lies there as it was."""
        return [it for it in before(study) if study.endswith("1") or it.case.group == "anna"]

    monkeypatch.setattr(stage, "load_cases", without_ben)
    run(params, fits=False)
    assert "fold1.json: it is of other numbers or data" in capsys.readouterr().out
    table = Path("reports/tiny/rotate.csv").read_text()
    groups = {line.split(",")[2] for line in table.splitlines()}
    assert groups == {"group", "anna"}


def test_the_table_has_no_test_of_other_numbers_or_of_what_the_study_names_no_more(
    params, ran, capsys
):
    run(params)
    current = Path("reports/tiny/rotate/vae/fold1.json")
    stale = current.read_bytes().replace(b'"fingerprint": "', b'"fingerprint": "other ')
    current.write_bytes(stale)
    removed = Path("reports/tiny/rotate/removed/fold0.json")
    removed.parent.mkdir()
    vae = Path("reports/tiny/rotate/vae/fold0.json").read_bytes()
    removed.write_bytes(vae.replace(b'"name": "vae"', b'"name": "removed"'))
    run(params, fits=False)
    table = Path("reports/tiny/rotate.csv").read_text()
    assert "vae,0,anna,dice" in table
    assert "vae,1,ben,dice" not in table
    assert "removed" not in table
    said = capsys.readouterr().out
    assert f"not in the table: {current}" in said
    assert f"not in the table: {removed}" in said
    lines = Path("reports/tiny/rotate.md").read_text().splitlines()
    assert "| **vae** | 1 of 2 | 0.500 | 3 |" in lines  # and nothing pooled


def test_other_postprocessing_is_measured_without_fitting_again(params, ran):
    run(params)
    ran.clear()
    export = {**params.values["export"], "map_false_positive_rate": 0.0625}
    changed = Params(params.path, {**params.values, "export": export})
    run(changed)
    assert {name for name, _ in ran} == {"prepare", "export", "evaluate"}
    ran.clear()
    checkpoint_path("tiny_fold1", "vae").unlink()
    Path("reports/tiny/rotate/vae/fold1.json").unlink()
    run(changed)
    assert [it for it in ran if it[0] == "fit"] == [("fit", "tiny_fold1")]


def test_other_test_scans_or_masks_are_measured_without_fitting_again(params, ran, monkeypatch):
    monkeypatch.setattr(stage, "unfitted_digest", lambda study: "as they were")
    run(params)
    ran.clear()
    monkeypatch.setattr(stage, "unfitted_digest", lambda study: "with another mask")
    run(params)
    assert [name for name, _ in ran].count("evaluate") == 2
    assert "fit" not in {name for name, _ in ran}


def test_a_table_can_be_made_of_what_is_there(params, ran):
    run(params)
    ran.clear()
    run(params, fits=False)
    assert ran == []


def test_without_any_result_there_is_no_table(params, ran):
    with pytest.raises(BadParamsError, match="no test is done"):
        run(params, fits=False)


def test_a_study_in_folds_and_methods_it_does_not_fit_are_refused(params, ran):
    with pytest.raises(BadParamsError, match="does not fit dagmm"):
        run(params, ("dagmm",))
    folds = {**params.values["split"], "scheme": "folds", "abnormals": "halves"}
    with pytest.raises(BadParamsError, match="is not leave_one_out"):
        run(Params(params.path, {**params.values, "split": folds}))


def test_what_is_kept_says_what_made_it(params, ran):
    run(params, keep=True)
    kept = Path("docs/results/tiny")
    assert {it.name for it in kept.iterdir()} == {"README.md", "rotate.csv", "rotate.md"}
    assert "- command: `c`" in (kept / "README.md").read_text()


def test_a_stage_that_fails_ends_the_run_in_words(params, monkeypatch):
    with pytest.raises(UadError, match=r"train\.stages\.prepare failed on none\.yaml"):
        stage.run_module("train.stages.prepare", Path("none.yaml"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_stage_does_not_outlive_the_run_that_started_it(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import sys, time\n"
        "from train.command import run_stage\n"
        "def stage(params, method):\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(600)\n"
        "sys.exit(run_stage(stage, sys.argv[1:]))\n"
    )
    command = (
        "from pathlib import Path\n"
        "from export.stages.rotate import run_module\n"
        f"run_module('slow', Path({str(REPOSITORY / 'params.yaml')!r}), 'cae')"
    )
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    run = psutil.Popen(
        [sys.executable, "-c", command],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    with run.stdout as said:
        assert said.readline() == b"begun\n"
        (stage_process,) = run.children()
        run.kill()
        run.wait()
    _, alive = psutil.wait_procs([stage_process], timeout=60)
    assert not alive


def test_the_numbers_of_a_fold_can_be_read_by_a_stage(params, ran):
    run(params)
    assert load("reports/tiny/rotate/fold1.yaml").values == rotation.of_fold(params, 1).values
