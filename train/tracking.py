"""Every fit is an MLflow run: what went in, what it learned epoch by epoch, what it looks like.

The store is what MLFLOW_TRACKING_URI names, a server as a rule. Without it, it is one SQLite file
under mlruns/ of the main working tree, by absolute address, so that fits reach it from any
directory, an experiment's temporary copy included.
"""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

# Before mlflow is imported: it reads these once.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_DISABLE_AGENT_HINTS", "true")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # or it tells of every run twice

import mlflow
from filelock import FileLock
from matplotlib.figure import Figure
from mlflow import MlflowClient
from mlflow.entities import LifecycleStage, Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from infer.address_keys import without_keys
from infer.errors import UadError
from infer.patience import away, impatient, silence_of
from train.provenance import repository_root

FLUSH_SECONDS = 5.0  # metrics wait this long: one transaction for many epochs
METRICS_AT_ONCE = 1000  # MLflow's limits for one request
PARAMS_AT_ONCE = 100
SYSTEM_SECONDS = 5.0  # between looks at processor and memory
LONGEST_PARAM = 6000  # characters, MLflow's limit
ADDRESS = "MLFLOW_TRACKING_URI"
_ANSWERED: set[str] = set()  # addresses of stores that this process has heard from
_SQLITE = "sqlite:///"
PARENT_TAG = "mlflow.parentRunId"  # what MLflow's pages nest runs by


@runtime_checkable
class Run(Protocol):
    """What a fit tells about itself."""

    @property
    def id(self) -> str: ...

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of one epoch."""
        ...

    def flush(self) -> None:
        """Let nothing wait in memory: a kill must not lose it."""
        ...

    def picture(self, figure: Figure, name: str) -> None:
        """A figure, as pictures/`name`.png."""
        ...

    def finish(self, status: str = "FINISHED") -> None:
        """Say that nothing follows."""
        ...


class SilentRun:
    """For all but the first of several processes: one of them tells, the others keep quiet."""

    id = ""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Nothing."""

    def flush(self) -> None:
        """Nothing."""

    def picture(self, figure: Figure, name: str) -> None:
        """Nothing."""

    def finish(self, status: str = "FINISHED") -> None:
        """Nothing."""


class MlflowRun:
    """A run in the store; metrics are sent in bulk."""

    def __init__(self, client: MlflowClient, run_id: str) -> None:
        self.client = client
        self.id = run_id
        self.waiting: list[Metric] = []
        self.flushed = time.monotonic()
        self.monitor = SystemMetricsMonitor(
            run_id,
            sampling_interval=SYSTEM_SECONDS,
            samples_before_logging=1,
            resume_logging=True,
            tracking_uri=store_address(),
        )
        self.monitor.start()

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Metrics of one epoch, sent later."""
        now = int(time.time() * 1000)
        self.waiting += [Metric(name, float(value), now, step) for name, value in metrics.items()]
        enough = len(self.waiting) >= METRICS_AT_ONCE
        if enough or time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Send what waits."""
        for start in range(0, len(self.waiting), METRICS_AT_ONCE):
            batch = self.waiting[start : start + METRICS_AT_ONCE]
            self.client.log_batch(self.id, metrics=batch, synchronous=True)
        self.waiting = []
        self.flushed = time.monotonic()

    def picture(self, figure: Figure, name: str) -> None:
        """A figure, as pictures/`name`.png."""
        self.client.log_figure(self.id, figure, f"pictures/{name}.png")

    def finish(self, status: str = "FINISHED") -> None:
        """Send what waits and end the run."""
        self.monitor.finish()
        self.flush()
        self.client.set_terminated(self.id, status)


def store_folder() -> Path:
    """Where the store lies, if it is this repository's own."""
    return repository_root() / "mlruns"


def store_address() -> str:
    """The store's address, for MLflow: an absolute one, unless another was named."""
    own = f"{_SQLITE}{(store_folder() / 'mlflow.db').as_posix()}"
    return os.environ.get(ADDRESS) or own


def open_client() -> MlflowClient:
    """A client of the store, which is made if need be, by one process at a time.

    Two processes that create MLflow's tables at once break each other.

    Raises:
        AwayError: it gives no answer.
    """
    with _lock():
        _tell_mlflow(store_address())
        client = MlflowClient(store_address())
        _call(client, store_address())
    return client


def _call(client: MlflowClient, address: str) -> None:
    """See that the store answers; one that is a file has its tables made or migrated.

    One that was never there is told of in seconds. Later, MLflow waits for it: a fit need not end
    because a server is started anew.
    """
    try:
        with contextlib.nullcontext() if address in _ANSWERED else impatient():
            client.search_experiments(max_results=1)
    except MlflowException as error:
        if silence := silence_of(error):
            raise away(f"the MLflow store {without_keys(address)}", silence) from None
        raise
    _ANSWERED.add(address)


def _tell_mlflow(address: str) -> None:
    """MLflow puts it into the environment, too, where it would look like the user's wish."""
    named = os.environ.get(ADDRESS)
    mlflow.set_tracking_uri(address)
    if named is None:
        os.environ.pop(ADDRESS, None)


def _beside_the_store() -> Path | None:
    """The folder of a store that is a file; None: it is a server, or a database of its own."""
    address = store_address()
    file = address.removeprefix(_SQLITE)
    return Path(file).absolute().parent if file != address else None


def _lock() -> FileLock:
    folder = _beside_the_store() or store_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "mlflow.db.lock")


def start(
    study: str,
    method: str,
    *,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
    parent: str = "",
    resume: str = "",
) -> MlflowRun:
    """Begin a run in the study's experiment, below `parent`, or go on with the run `resume`."""
    client = open_client()
    if resume and exists(client, resume):
        client.update_run(resume, status="RUNNING")
        return MlflowRun(client, resume)
    below = {PARENT_TAG: parent} if parent else {}
    return MlflowRun(client, _create(client, study, method, params, dict(tags) | below))


def end_lost(run_id: str) -> None:
    """Say of a run that was interrupted that nobody will go on with it."""
    client = open_client()
    if exists(client, run_id):
        client.set_terminated(run_id, "KILLED")


def record(study: str, name: str, *, tags: Mapping[str, str], once: bool = False) -> str:
    """A run of no computation, for tables or for others to be below: ended at once; its id.

    Args:
        once: if there is a run with these tags, it is that one.
    """
    client = open_client()
    if once and (found := _tagged(client, study, tags)):
        return found
    run_id = _create(client, study, name, {}, tags)
    client.set_terminated(run_id)
    return run_id


def _create(
    client: MlflowClient,
    study: str,
    name: str,
    params: Mapping[str, Any],
    tags: Mapping[str, str],
) -> str:
    """A new run in the study's experiment; its id."""
    run_id = str(client.create_run(_experiment(client, study), run_name=name).info.run_id)
    marks = [RunTag(key, value) for key, value in (dict(tags) | dvc_tags()).items()]
    client.log_batch(run_id, tags=marks, synchronous=True)
    told = [Param(key, str(value)[:LONGEST_PARAM]) for key, value in params.items()]
    for start in range(0, len(told), PARAMS_AT_ONCE):
        batch = told[start : start + PARAMS_AT_ONCE]
        client.log_batch(run_id, params=batch, synchronous=True)
    return run_id


def _experiment(client: MlflowClient, study: str) -> str:
    """One experiment per study."""
    with _lock():
        if found := client.get_experiment_by_name(study):
            if found.lifecycle_stage == LifecycleStage.DELETED:
                raise UadError(
                    f"the MLflow experiment {study} was deleted",
                    hint=f"mlflow experiments restore -x {found.experiment_id}, or call the study "
                    "otherwise",
                )
            return str(found.experiment_id)
        folder = _beside_the_store()  # a server has a place of its own
        artifacts = (folder / "artifacts" / study).as_uri() if folder else None
        try:
            return str(client.create_experiment(study, artifact_location=artifacts))
        except MlflowException:
            # Another machine, which our lock does not hold, may have been first.
            if found := client.get_experiment_by_name(study):
                return str(found.experiment_id)
            raise


def _tagged(client: MlflowClient, study: str, tags: Mapping[str, str]) -> str:
    """The latest run of the study with all of these tags; "" if there is none."""
    filters = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items())
    found = client.search_runs([_experiment(client, study)], filters, max_results=1)
    return str(found[0].info.run_id) if found else ""


def exists(client: MlflowClient, run_id: str) -> bool:
    """Whether there is such a run, and nobody deleted it."""
    try:
        found = client.get_run(run_id)
    except MlflowException:
        return False
    return bool(found.info.lifecycle_stage == LifecycleStage.ACTIVE)


def dvc_tags() -> dict[str, str]:
    """Which DVC experiment and stage this process belongs to, if any."""
    return {
        name: value for name in ("DVC_EXP_NAME", "DVC_STAGE") if (value := os.environ.get(name))
    }
