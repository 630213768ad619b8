"""--model models:/name@alias: what the export stage registered is what is scored with."""

import json
import os
import shutil
import subprocess
import sys

import mlflow
import numpy as np
import pytest

from export import registry
from infer import load
from infer.digest import digest
from infer.errors import BadModelError
from infer.model_source import located
from tests.infer.tiny_model import SIZE, write_tiny_model, write_tiny_scans
from train import tracking

NAME = "uad-tiny-blur"

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A registry with two versions of one model, `best` being the first; its address."""
    place = tmp_path_factory.mktemp("store")
    images = np.zeros((2, 1, SIZE, SIZE), np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking, "store_folder", lambda: place / "mlruns")
        model = write_tiny_model(place / "tiny.onnx")
        for _ in range(2):
            registry.register(model, study="tiny", method="blur", run_id="none", example=images)
        tracking.open_client().set_registered_model_alias(NAME, "best", "1")
        yield tracking.store_address()
    mlflow.set_tracking_uri(None)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """Models are cached for one test only."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


def run(*arguments, store=None, cwd=None, without_mlflow=False):
    """The command in a process of its own, which knows of no registry but this one."""
    environment = {name: it for name, it in os.environ.items() if not name.startswith("MLFLOW")}
    if store:
        environment["MLFLOW_TRACKING_URI"] = store
    hidden = "sys.modules['mlflow'] = None; " if without_mlflow else ""
    script = f"import sys; {hidden}from infer.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment, cwd=cwd,
    )  # fmt: skip


def refusal(done):
    assert done.returncode == 2, done.stderr
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: models:/")
    assert hint.startswith("hint:  ")
    return error + hint


@pytest.mark.parametrize(
    ("address", "version"), [(f"models:/{NAME}@best", "1"), (f"models:/{NAME}/2", "2")]
)
def test_a_folder_is_scored_with_a_version_and_run_json_says_which(
    store, tmp_path, address, version
):
    scans = write_tiny_scans(tmp_path / "scans")
    out = tmp_path / "out"
    done = run(scans, "--model", address, "--out", out, store=store, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    record = json.loads((out / "run.json").read_text())
    registered = record["model"]["registered"]
    assert registered["asked"] == address
    assert (registered["name"], registered["version"]) == (NAME, version)
    assert registered["run_id"]
    assert record["model"]["study"] == "tiny"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "scans"]


def test_the_version_gives_what_the_file_gives(store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    scans = write_tiny_scans(tmp_path / "scans")
    file = write_tiny_model(tmp_path / "tiny.onnx")
    ours, theirs = (
        load(model, device="cpu").score(scans / "lesion.nii.gz")
        for model in (f"models:/{NAME}@best", file)
    )
    assert ours.score == theirs.score
    np.testing.assert_array_equal(ours.map, theirs.map)


def test_the_file_is_kept_by_its_hash_and_what_mlflow_writes_beside_it_is_not(
    store, cache, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    file = located(f"models:/{NAME}@best", pytest.fail)
    assert file.path.parent == cache / "uad" / "models" / digest(file.path.read_bytes())
    assert list(file.path.parent.iterdir()) == [file.path]


def test_a_version_is_described_and_tested_like_a_file(store):
    address = f"models:/{NAME}@best"
    assert "blur, fitted in study tiny" in run("--describe", address, store=store).stdout
    assert "agrees" in run("--self-test", "--model", address, store=store).stdout


@pytest.mark.parametrize(
    "name", ["nobody@best", f"{NAME}@nowhere", f"{NAME}/99", NAME, f"{NAME}/best", "@best"]
)
def test_a_version_that_is_not_there_is_refused(store, monkeypatch, name):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    with pytest.raises(BadModelError, match="models:/") as refused:
        located(f"models:/{name}", pytest.fail)
    assert "models:/name@alias" in refused.value.hint


def test_without_mlflow_the_hint_says_what_to_install():
    done = run("--describe", f"models:/{NAME}@best", without_mlflow=True)
    assert "pip install mlflow" in refusal(done)


def test_without_mlflow_files_are_scored_as_ever(tmp_path):
    file = write_tiny_model(tmp_path / "tiny.onnx")
    assert run("--describe", file, without_mlflow=True).returncode == 0


def test_where_no_registry_is_named_none_is_made(tmp_path):
    done = run("--describe", f"models:/{NAME}@best", cwd=tmp_path)
    assert "MLFLOW_TRACKING_URI" in refusal(done)
    gone = run("--describe", f"models:/{NAME}@best", store=f"sqlite:///{tmp_path}/no.db")
    assert f"there is no MLflow store {tmp_path}/no.db" in refusal(gone)
    assert not list(tmp_path.iterdir())


def test_a_store_whose_file_is_away_is_no_reason_to_score_nothing(store, tmp_path):
    file = shutil.copy(store.removeprefix("sqlite:///"), tmp_path / "copy.db")
    address = f"models:/{NAME}@best"
    mlflow.set_tracking_uri(f"sqlite:///{file}")
    try:
        first = located(address, pytest.fail)
        file.unlink()
        told = []
        second = located(address, told.append)
    finally:
        mlflow.set_tracking_uri(store)
    assert first.path == second.path
    assert f"there is no MLflow store {file}: taken from the cache" in told[0]
