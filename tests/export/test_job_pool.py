"""Jobs in processes of their own: what fails harms nobody else."""

import math
import os

import pytest

from export.job_pool import THREAD_VARIABLES, run_jobs


@pytest.mark.parametrize("at_once", [1, 2], ids=["in this process", "in two"])
def test_a_job_that_fails_is_said_and_the_others_are_done(at_once):
    done = {it.job: it for it in run_jobs(math.sqrt, [4.0, -1.0, 9.0], at_once=at_once, gpus=0)}
    assert (done[4.0].result, done[9.0].result) == (2.0, 3.0)
    assert (done[4.0].error, done[9.0].error) == ("", "")
    assert done[-1.0].result is None
    assert done[-1.0].error.startswith("ValueError")


def test_threads_are_divided_and_our_own_variables_come_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "777")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    names = list(THREAD_VARIABLES)
    done = {it.job: it.result for it in run_jobs(os.getenv, names, at_once=2, gpus=0)}
    assert all(int(done[name]) >= 1 for name in names)
    assert done["OMP_NUM_THREADS"] != "777"
    assert os.environ["OMP_NUM_THREADS"] == "777"
    assert "MKL_NUM_THREADS" not in os.environ
