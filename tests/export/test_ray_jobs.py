"""Jobs on a Ray cluster of two nodes of this machine: as in one process, whoever dies."""

import math
import os
import signal
from pathlib import Path

import pytest

from export.job_pool import run_jobs
from infer.errors import UadError

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

from export.ray_jobs import ray_jobs  # noqa: E402
from infer.executors.ray import QUIET  # noqa: E402

STORE = "http://127.0.0.1:5999"


@pytest.fixture(scope="module")
def cluster():
    """A head without cores, and two nodes of one core each."""
    from ray.cluster_utils import Cluster

    os.environ.update(QUIET)
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    yield made
    made.shutdown()


# What follows is called in processes of the cluster, which find it by its name.


def root_and_where(number):
    store = os.environ.get("MLFLOW_TRACKING_URI", "")
    return math.sqrt(number), str(Path.cwd()), os.environ["DVC_ROOT"], store


def root_or_death(number):
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return math.sqrt(number)


def die_once(mark):
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return mark.name


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", STORE)  # after the cluster was started
    return tmp_path


def test_jobs_end_as_in_this_process_and_see_its_directory(cluster, here):
    numbers = [4.0, -1.0, 9.0]
    with ray_jobs(cluster.address) as jobs:
        assert jobs.at_once == 2
        found = sorted(jobs.run(root_and_where, numbers), key=lambda it: it.job)
    expected = sorted(run_jobs(root_and_where, numbers, at_once=1, gpus=0), key=lambda it: it.job)
    assert found == expected
    assert found[1].result == (2.0, str(here), str(here), STORE)
    assert found[0].error.startswith("ValueError")


def test_a_job_whose_worker_dies_is_tried_again(cluster, here):
    with ray_jobs(cluster.address) as jobs:
        (done,) = jobs.run(die_once, [here / "mark"])
    assert (done.result, done.error) == ("mark", "")


def test_a_job_that_ends_its_workers_is_said_and_the_others_are_done(cluster, here):
    with ray_jobs(cluster.address) as jobs:
        done = {it.job: it for it in jobs.run(root_or_death, [4.0, -1.0, 9.0, 16.0])}
    assert {job: it.result for job, it in done.items() if not it.error} == {4: 2, 9: 3, 16: 4}
    assert "2 times" in done[-1.0].error


def test_a_worker_that_does_not_see_the_directory_ends_the_run(cluster, here, monkeypatch):
    monkeypatch.setattr(Path, "cwd", lambda: here / "elsewhere")
    with ray_jobs(cluster.address) as jobs, pytest.raises(UadError, match="elsewhere"):
        list(jobs.run(root_or_death, [4.0]))
