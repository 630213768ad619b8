"""Jobs in processes of their own: what fails harms nobody else."""

import math
import os
import queue
import signal
import sys
import time

import psutil
import pytest

from export import job_pool
from export.job_pool import JOBS_PER_GPU, MEMORY_PER_JOB, THREAD_VARIABLES, jobs_at_once, run_jobs

PATIENCE_SECONDS = 60.0  # a process may be long in starting


@pytest.mark.parametrize("at_once", [1, 2], ids=["in this process", "in two"])
def test_a_job_that_fails_is_said_and_the_others_are_done(at_once):
    done = {it.job: it for it in run_jobs(math.sqrt, [4.0, -1.0, 9.0], at_once=at_once, gpus=0)}
    assert (done[4.0].result, done[9.0].result) == (2.0, 3.0)
    assert (done[4.0].error, done[9.0].error) == ("", "")
    assert done[-1.0].result is None
    assert done[-1.0].error.startswith("ValueError")


def root_or_death(number):
    """Of a negative number there is none, and whoever asks for it is killed."""
    if number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return math.sqrt(number)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_job_whose_process_is_killed_is_said_and_the_others_are_done():
    jobs = [4.0, -1.0, 9.0, 16.0]
    done = {it.job: it for it in run_jobs(root_or_death, jobs, at_once=2, gpus=0)}
    assert {job: it.result for job, it in done.items() if not it.error} == {4: 2, 9: 3, 16: 4}
    assert "was killed" in done[-1.0].error


def dies_or_meets(job):
    """Whether another one was under way at the same time; the first is the end of its process."""
    number, folder = job
    if number == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / str(number)).touch()
    until = time.monotonic() + PATIENCE_SECONDS / 6
    met = False
    while not met and time.monotonic() < until:
        time.sleep(0.01)
        met = len(list(folder.iterdir())) > 1
    time.sleep(0.5)  # for the other to see this one
    (folder / str(number)).unlink()
    return met


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_jobs_that_had_not_begun_are_done_several_at_once_as_before(tmp_path):
    """Those under way beside it are done alone; which they were is seen late now and then."""
    jobs = [(number, tmp_path) for number in range(6)]
    done = list(run_jobs(dies_or_meets, jobs, at_once=2, gpus=0))
    assert {it.job[0] for it in done if it.error} == {0}
    assert sum(bool(it.result) for it in done) >= 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_processes_that_are_killed_while_none_has_a_job_cost_none():
    done = []
    for it in run_jobs(math.sqrt, [1.0, 4.0, 9.0, 16.0, 25.0], at_once=2, gpus=0):
        done.append(it)
        if len(done) == 1:
            workers = [one for one in psutil.Process().children() if is_worker(one)]
            wait_until_idle(workers)  # whatever they had is done
            for one in workers:
                one.kill()
            psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)
            time.sleep(1)  # and seen to be gone
    assert {it.job: it.result for it in done} == {1: 1, 4: 2, 9: 3, 16: 4, 25: 5}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_no_job_goes_on_for_a_run_that_was_killed():
    command = (
        "import time\n"
        "from export.job_pool import run_jobs\n"
        "list(run_jobs(time.sleep, [600, 600, 600], at_once=2, gpus=0))"
    )
    run = psutil.Popen([sys.executable, "-c", command])
    try:
        workers = wait_for(lambda: [it for it in run.children() if is_worker(it)], count=2)
    finally:
        run.kill()
        run.wait()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)
    assert not alive


def wait_for(find, *, count):
    """What `find` returns as soon as it is so many."""
    end = time.monotonic() + PATIENCE_SECONDS
    while len(found := find()) < count:
        assert time.monotonic() < end, f"{len(found)} of {count}"
        time.sleep(0.1)
    return found


def wait_until_idle(processes):
    """Until they have used no processor for two seconds, however slowly they start."""
    used = None
    while used != (used := [sum(it.cpu_times()[:2]) for it in processes]):
        time.sleep(2)


def is_worker(process):
    """Whether it is a worker, and not what multiprocessing starts beside them."""
    return any("spawn_main" in it for it in process.cmdline())


def test_our_own_variables_come_back(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "777")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    list(run_jobs(os.getenv, ["OMP_NUM_THREADS"], at_once=2, gpus=0))
    assert os.environ["OMP_NUM_THREADS"] == "777"
    assert "MKL_NUM_THREADS" not in os.environ


@pytest.mark.parametrize(("cores", "share"), [(9, "4"), (1, "1")], ids=["nine", "one"])
def test_the_cores_are_divided_between_the_processes(monkeypatch, cores, share):
    monkeypatch.setattr(job_pool, "cores", lambda: cores)
    monkeypatch.setenv("OMP_NUM_THREADS", "777")
    names = list(THREAD_VARIABLES)
    done = {it.job: it.result for it in run_jobs(os.getenv, names, at_once=2, gpus=0)}
    assert done == dict.fromkeys(names, share)


def seen_when_both_have_begun(mark):
    """The GPUs of this process, once another one has begun the other job."""
    mark.touch()
    until = time.monotonic() + PATIENCE_SECONDS
    while len(list(mark.parent.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_two_processes_see_a_gpu_each(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    jobs = [tmp_path / "one", tmp_path / "other"]
    done = list(run_jobs(seen_when_both_have_begun, jobs, at_once=2, gpus=2))
    assert [it.error for it in done] == ["", ""]
    assert sorted(it.result for it in done) == ["5", "7"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "5,7"


@pytest.mark.parametrize(
    ("visible", "gpus", "expected"),
    [
        (None, 2, ["0", "1", "0", "1"]),
        ("GPU-a,GPU-b,GPU-c", 3, ["GPU-a", "GPU-b", "GPU-c", "GPU-a"]),
        ("3", 1, ["3", "3", "3", "3"]),
        (None, 0, [None] * 4),
    ],
    ids=["by number", "by the names that we were given", "the only one", "none"],
)
def test_gpus_are_shared_out_by_turns(monkeypatch, visible, gpus, expected):
    turns = queue.Queue()
    for turn in range(4):
        turns.put(turn)
    seen = []
    for _ in range(4):
        with monkeypatch.context() as process:
            process.delenv("CUDA_VISIBLE_DEVICES", raising=False)
            if visible:
                process.setenv("CUDA_VISIBLE_DEVICES", visible)
            job_pool._settle(turns, gpus)
            seen.append(os.environ.get("CUDA_VISIBLE_DEVICES"))
    assert seen == expected


@pytest.mark.parametrize(
    ("cores", "memory", "gpus", "expected"),
    [
        (8, 100, 0, 8),
        (8, 3, 0, 3),
        (8, 0, 0, 1),
        (64, 100, 1, JOBS_PER_GPU),
        (64, 100, 2, 2 * JOBS_PER_GPU),
        (2, 100, 2, 2),
    ],
    ids=["a core each", "little memory", "hardly any", "a GPU", "two GPUs", "few cores"],
)
def test_as_many_at_once_as_cores_memory_and_gpus_bear(monkeypatch, cores, memory, gpus, expected):
    class Memory:
        available = memory * MEMORY_PER_JOB

    monkeypatch.setattr(job_pool, "cores", lambda: cores)
    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert jobs_at_once(gpus) == expected
