"""A remote MLflow server: fits and exports go there; models come from it, or from the cache."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from export.promotion import promote
from export.trace import trace
from infer import load
from infer.digest import digest
from infer.errors import AwayError, BadModelError
from infer.model_source import located
from tests.end_to_end.served_study import ANOTHER, CHAMPION, NAME, scores_in, served_study
from tests.infer.storage.faulty_store import FaultyStore
from tests.train.phantom_study import STUDY
from train import tracking
from train.paths import data_folder, model_path

# Raised inside MLflow and its libraries, about their own code.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One with a study's fit and two versions; the working directory is the study's."""
    with served_study(tmp_path_factory.mktemp("remote")) as server:
        yield server


@pytest.fixture
def client(server):
    """The server as another program sees it."""
    return mlflow.MlflowClient(server.url)


@pytest.fixture
def remote(server):
    """The server at an address that a test may close; all that is asked there is in `asked`."""
    proxy = FaultyStore(server.port)
    mlflow.set_tracking_uri(proxy.url)
    yield proxy
    proxy.end()
    mlflow.set_tracking_uri(server.url)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Models are cached for one test only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def downloads(remote):
    return [it for it in remote.asked if it.startswith("GET") and it.endswith(".onnx")]


def here(address=CHAMPION):
    """The file, of which there is nothing to tell."""
    return located(address, pytest.fail)


def kept():
    """The file of a registry that cannot be asked, and what the user is told."""
    told = []
    file = located(CHAMPION, told.append)
    (line,) = told
    return file, line


def version_of(out, server):
    """What is said of the model's version by who traces a result."""
    mlflow.set_tracking_uri(server.url)
    return next(it.said for it in trace(out / "report.csv") if it.name == "version")


def uad_infer(remote, *arguments, without_mlflow=False):
    """The command in a process of its own."""
    hidden = "sys.modules['mlflow'] = None; " if without_mlflow else ""
    script = f"import sys; {hidden}from infer.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"MLFLOW_TRACKING_URI": remote.url},
    )  # fmt: skip


def test_a_fit_and_its_export_are_on_the_server_and_nowhere_else(server, client):
    version = client.get_model_version_by_alias(NAME, "champion")
    run = client.get_run(version.run_id)
    assert client.get_experiment(run.info.experiment_id).name == STUDY
    assert run.info.status == "FINISHED"
    assert "width" in str(run.data.params)
    assert run.data.metrics
    exported = model_path(STUDY, "cae").read_bytes()
    assert version.tags["sha256"] == digest(exported)
    there = {digest(path.read_bytes()) for path in server.artifacts.rglob("*.onnx")}
    assert digest(exported) in there
    assert not list(Path().rglob("mlflow.db"))
    assert not list(Path().rglob("mlruns/artifacts"))


def test_every_link_of_the_exported_file_leads_to_the_server(server):
    links = {it.name: it for it in trace(model_path(STUDY, "cae"))}
    assert all(links[name].holds for name in ("model", "version", "run", "data", "parameters"))
    assert links["version"].said == f"1 of {NAME}"


def test_a_folder_is_scored_with_it_and_again_without_it(remote, server, tmp_path):
    scans, out = data_folder(STUDY) / "scans", tmp_path / "out"
    command = (scans, "--model", CHAMPION, "--out", out, "--overwrite")
    done = uad_infer(remote, *command)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(downloads(remote)) == 1
    first = json.loads((out / "run.json").read_text())["model"]
    assert version_of(out, server) == f"1 of {NAME}; the run asked for {CHAMPION}, 1 then"
    assert first["sha256"] == digest(model_path(STUDY, "cae").read_bytes())
    assert (first["registered"]["version"], first["registered"]["unconfirmed"]) == ("1", None)
    scores = scores_in(out)

    remote.end()
    done = uad_infer(remote, *command)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert f"the MLflow registry {remote.url} gives no answer (ConnectionError)" in line
    assert "taken from the cache here is version 1" in line
    second = json.loads((out / "run.json").read_text())["model"]
    assert second["sha256"] == first["sha256"]
    assert "gives no answer" in second["registered"].pop("unconfirmed")
    assert second["registered"] == {
        name: it for name, it in first["registered"].items() if name != "unconfirmed"
    }
    assert second["registered"]["fetched"] in line
    assert version_of(out, server).endswith(f"{CHAMPION}, 1 then, by its cache alone")
    assert scores_in(out) == scores


def test_what_is_kept_is_not_fetched_again(remote):
    files = [here().path for _ in range(3)]
    assert len(set(files)) == 1
    assert len(downloads(remote)) == 1
    assert files[0].read_bytes() == model_path(STUDY, "cae").read_bytes()


def test_an_alias_that_moved_means_the_new_version_at_once_and_when_the_server_is_away(
    remote, client
):
    here()
    client.set_registered_model_alias(NAME, "champion", "2")
    try:
        moved = here()
    finally:
        client.set_registered_model_alias(NAME, "champion", "1")
    assert moved.registered["version"] == "2"
    assert moved.path.read_bytes() == Path(ANOTHER).read_bytes()
    remote.end()
    file, line = kept()
    assert file.path == moved.path
    assert "version 2" in line


def test_each_registry_has_notes_of_its_own(remote, server):
    here()
    other = FaultyStore(server.port)
    mlflow.set_tracking_uri(other.url)
    other.end()
    with pytest.raises(AwayError, match="gives no answer"):
        kept()


def test_two_machines_may_begin_a_study_at_once(client):
    class Late(mlflow.MlflowClient):
        """Another machine makes the experiment after this one has looked for it."""

        def create_experiment(self, name, artifact_location=None):
            client.create_experiment(name)
            return super().create_experiment(name, artifact_location)

    run_id = tracking._create(Late(client.tracking_uri), "new", "a run", {}, {})
    there = client.get_experiment_by_name("new")
    assert client.get_run(run_id).info.experiment_id == there.experiment_id


def test_without_mlflow_the_kept_version_is_used_and_that_is_said(remote):
    here()
    asked = len(remote.asked)
    done = uad_infer(remote, "--describe", CHAMPION, without_mlflow=True)
    assert done.returncode == 0
    assert "cae, fitted in study" in done.stdout
    (line,) = done.stderr.splitlines()
    assert "MLflow is not installed here" in line
    assert "taken from the cache here is version 1" in line
    assert len(remote.asked) == asked


def test_a_program_is_warned(remote):
    here()
    remote.end()
    with pytest.warns(UserWarning, match="taken from the cache here is version 1"):
        load(CHAMPION, device="cpu")


def test_what_was_never_fetched_is_refused_in_words_within_seconds(remote):
    remote.end()
    start = time.monotonic()
    with pytest.raises(AwayError, match="gives no answer") as refused:
        here()
    assert time.monotonic() - start < 10
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" in refused.value.hint


def test_what_needs_the_server_says_in_words_within_seconds_that_it_is_away(remote):
    remote.end()
    start = time.monotonic()
    with pytest.raises(AwayError, match=f"the MLflow store {remote.url} gives no answer"):
        promote(STUDY, "cae", alias="champion")
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("fault", "why"),
    [("503", "RetryError"), ("500", "RetryError"), (2.5, "Error"), ("closed before", "Error")],
)
def test_a_server_that_cannot_answer_is_away(remote, monkeypatch, fault, why):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")  # seconds; ours is longer
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    here()
    remote.choose = lambda method, path: fault
    _, line = kept()
    assert why in line


def test_what_the_server_refuses_is_never_taken_from_the_cache(remote, client):
    client.set_registered_model_alias(NAME, "retired", "1")
    address = f"models:/{NAME}@retired"
    here(address)
    client.delete_registered_model_alias(NAME, "retired")
    with pytest.raises(BadModelError, match="cannot be had from the MLflow registry"):
        here(address)
    here()
    remote.choose = lambda method, path: "403"
    with pytest.raises(BadModelError, match="error code 403"):
        here()


def test_a_download_that_fails_does_not_make_an_older_version_good_enough(remote, client):
    here()
    client.set_registered_model_alias(NAME, "champion", "2")
    remote.choose = lambda method, path: "403" if "artifacts" in path else None
    try:
        with pytest.raises(BadModelError, match="cannot be had"):
            here()
    finally:
        client.set_registered_model_alias(NAME, "champion", "1")


def test_a_copy_whose_bytes_changed_is_fetched_again_or_refused(remote):
    file = here().path
    content = file.read_bytes().replace(b"cae", b"caf")
    file.write_bytes(content)
    assert here().path.read_bytes() == model_path(STUDY, "cae").read_bytes()
    assert len(downloads(remote)) == 2
    file.write_bytes(content)
    remote.end()
    with pytest.raises(BadModelError, match="is not as it was fetched") as refused:
        kept()
    assert "gives no answer" in str(refused.value)


def test_a_note_that_is_damaged_costs_a_fetch(remote, cache):
    here()
    (note,) = (cache / "uad" / "models" / "registered").iterdir()
    note.write_bytes(note.read_bytes()[:20])
    assert here().registered["version"] == "1"
    assert len(downloads(remote)) == 2


def test_the_password_of_an_address_is_neither_said_nor_kept(remote, cache):
    mlflow.set_tracking_uri(remote.url.replace("//", "//anna:not-to-be-seen@"))
    told = [str(dict(here().registered))]
    remote.end()
    file, line = kept()
    told += [line, str(dict(file.registered))]
    with pytest.raises(AwayError) as refused:
        here(f"models:/{NAME}/2")
    told += [str(refused.value), *map(str, cache.rglob("*"))]
    told += [it.read_text() for it in cache.rglob("*.json")]
    assert not [it for it in told if "not-to-be-seen" in it or "anna" in it]
