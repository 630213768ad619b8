import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infer.errors import UadError
from train import tracking

# Begins and ends a run in a fresh store, and lets MLflow warn.
A_RUN = """
import logging
import export.registry
from train import tracking
parent = tracking.record("a study", "a parent", tags={"a tag": "a value"})
tracking.start("a study", "a method", params={}, tags={}, parent=parent).finish()
logging.getLogger("mlflow.anything").warning("this is a warning")
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """One for all tests: MLflow takes seconds to make its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("store")))
        yield


def test_an_experiments_copy_reaches_the_store_of_the_main_tree(tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    copy.mkdir()
    monkeypatch.chdir(copy)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "main"))
    assert tracking.store_folder() == tmp_path / "main" / "mlruns"


def test_the_address_is_absolute_wherever_we_are(tmp_path, monkeypatch):
    monkeypatch.delenv("DVC_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    address = tracking.store_address()
    assert address.startswith("sqlite:///")
    assert Path(address.removeprefix("sqlite:///")).is_absolute()


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # inside MLflow
def test_a_store_that_is_named_is_the_one_and_its_artifacts_lie_beside_it(
    store, tmp_path, monkeypatch
):
    tracking.open_client()  # makes it
    own = tracking.store_address()
    file = shutil.copy(own.removeprefix("sqlite:///"), tmp_path / "named.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    run = tracking.open_client().get_run(tracking.record("a new study", "a table", tags={}))
    assert Path(run.info.artifact_uri.removeprefix("file://")).is_relative_to(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert tracking.store_address() == own
    assert tracking.open_client().get_experiment_by_name("a new study") is None


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # inside MLflow
def test_a_store_that_nobody_named_is_not_left_in_the_environment(store):
    tracking.open_client()
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_run_tells_the_terminal_nothing_but_warnings(store, monkeypatch):
    monkeypatch.delenv("MLFLOW_LOGGING_LEVEL", raising=False)  # the tests' own import has set it
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", A_RUN], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.endswith("WARNING mlflow.anything: this is a warning")


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # inside MLflow
def test_a_run_that_is_recorded_once_is_found_again_by_all_of_its_tags(store):
    tags = {"method": "cae", "folds": "a hash"}
    first = tracking.record("a study", "a parent", tags=tags, once=True)
    assert tracking.record("a study", "a parent", tags=tags, once=True) == first
    others = [
        tracking.record("a study", "a parent", tags=tags | {"folds": "another"}, once=True),
        tracking.record("another study", "a parent", tags=tags, once=True),
        tracking.record("a study", "a parent", tags=tags),
    ]
    assert len({first, *others}) == 4


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")  # inside MLflow
def test_a_run_of_no_computation_watches_no_processor(store, monkeypatch):
    def refuse(*given, **named):
        raise AssertionError("a monitor was started")

    monkeypatch.setattr(tracking, "SystemMetricsMonitor", refuse)
    run_id = tracking.record("a study", "a table", tags={"stage": "compare"})
    found = tracking.open_client().get_run(run_id)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "a table")
    assert found.data.tags["stage"] == "compare"


def test_a_run_has_all_of_its_numbers_however_many_they_are(store):
    params = {f"fit.number_{at}": at for at in range(250)}  # MLflow takes 100 at once
    run = tracking.start("a study", "cae", params=params, tags={})
    run.finish()
    found = tracking.open_client().get_run(run.id).data.params
    assert found == {name: str(value) for name, value in params.items()}


def test_a_run_that_was_deleted_is_not_there(store):
    client = tracking.open_client()
    run_id = tracking.record("deleted runs", "a table", tags={})
    assert tracking.exists(client, run_id)
    client.delete_run(run_id)
    assert not tracking.exists(client, run_id)
    assert not tracking.exists(client, "0" * 32)
    again = tracking.start("deleted runs", "cae", params={}, tags={}, parent="", resume=run_id)
    assert again.id != run_id
    again.finish()


def test_an_experiment_that_was_deleted_is_named_and_how_to_get_it_back(store):
    tracking.record("deleted study", "a table", tags={})
    client = tracking.open_client()
    number = client.get_experiment_by_name("deleted study").experiment_id
    client.delete_experiment(number)
    with pytest.raises(UadError, match="experiment deleted study was deleted") as refused:
        tracking.start("deleted study", "cae", params={}, tags={}, parent="")
    assert f"restore -x {number}" in refused.value.hint
