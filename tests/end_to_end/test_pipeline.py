"""`dvc repro` on a study of a few heads, in a copy of the repository: once, then nothing to do."""

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
COLUMNS = (
    "method,auroc,average_precision,accuracy,recall,precision,f1,specificity,pixel_ap,dice,"
    "best_dice,psnr,fit_seconds"
)
TINY = {
    "data": {
        "image_size": [32, 32],
        "options": {"normals": 25, "abnormals": 10, "size": [64, 56]},
    },
    "fit": {
        "cae": {"width": 4, "latent": 8, "batch_size": 8, "epochs": 2},
        "fanogan": {
            "width": 4,
            "latent": 8,
            "batch_size": 8,
            "critic_steps": 1,
            "gan_steps": 4,
            "encoder_steps": 4,
            "steps_per_record": 2,
        },
    },
    "evaluate": {"resamples": 20},
    "compare": {"gallery": 2},
}


def change(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Set numbers that are there already; a key that is not would be a mistake of this test."""
    for key, new in changes.items():
        if isinstance(new, Mapping):
            change(values[key], new)
        else:
            assert key in values, key
            values[key] = new


def run(folder: Path, *command: str) -> str:
    """What a command prints, run in a folder as a user of the environment would."""
    commands = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        **{
            f"GIT_{who}_{what}": "a@b"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        },
    }
    environment.pop("DVC_ROOT", None)
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed copy with a tiny study, run once."""
    copy = tmp_path_factory.mktemp("copy") / "uad"
    files = run(ROOT, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file() and Path(name).parts[0] != "tests":
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    yaml = YAML()
    params = yaml.load(copy / "params.yaml")
    change(params, TINY)
    yaml.dump(params, copy / "params.yaml")
    (copy / "dvc.lock").unlink(missing_ok=True)
    run(copy, "git", "init", "--quiet")
    run(copy, "git", "add", "--all")
    run(copy, "git", "commit", "--quiet", "-m", "Copy")
    run(copy, "dvc", "repro", "--quiet")
    return copy


def test_every_stage_leaves_what_it_promises(repository: Path) -> None:
    for method in ("cae", "fanogan"):
        assert (repository / f"models/phantom/{method}.onnx").is_file()
        assert (repository / f"reports/phantom/evaluate/{method}.json").is_file()
    assert (repository / "data/phantom/cases.csv").is_file()
    assert (repository / "reports/phantom/compare.md").is_file()
    assert (repository / "mlruns/mlflow.db").is_file()


def test_the_comparison_holds_both_models_and_the_trivial_baselines(repository: Path) -> None:
    with (repository / "reports/phantom/compare.csv").open(newline="") as file:
        table = csv.DictReader(file)
        rows = [row["method"] for row in table]
    assert ",".join(table.fieldnames or ()) == COLUMNS
    assert set(rows) >= {"cae", "fanogan", "intensity_threshold", "mean_image", "random"}


def test_a_second_run_does_nothing(repository: Path) -> None:
    before = (repository / "dvc.lock").read_bytes()
    out = run(repository, "dvc", "repro")
    assert "Running stage" not in out
    assert (repository / "dvc.lock").read_bytes() == before


def test_dvc_shows_metrics_and_the_graph(repository: Path) -> None:
    metrics = json.loads(run(repository, "dvc", "metrics", "show", "--json"))
    assert "reports/phantom/evaluate/cae.json" in metrics[""]["data"]
    assert "prepare" in run(repository, "dvc", "dag", "--dot")


def test_no_output_of_a_run_is_left_for_git(repository: Path) -> None:
    changed = run(repository, "git", "status", "--porcelain").split()
    assert changed in ([], ["??", "dvc.lock"])


def test_a_model_made_from_committed_code_says_so(repository: Path) -> None:
    command = str(Path(sys.executable).with_name("uad-infer"))
    commit = run(repository, "git", "rev-parse", "HEAD").strip()
    described = run(repository, command, "--describe", "models/phantom/cae.onnx")
    assert commit in described
    assert "uncommitted changes" not in described


def test_the_exported_models_agree_with_themselves_when_deployed(repository: Path) -> None:
    command = str(Path(sys.executable).with_name("uad-infer"))
    for method in ("cae", "fanogan"):
        model = f"models/phantom/{method}.onnx"
        out = run(repository, command, "--self-test", "--model", model, "--device", "cpu")
        assert "agrees" in out
