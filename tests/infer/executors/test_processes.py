"""Processes: every piece once; errors come out; a process that dies is outlived, none is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from infer.errors import BadOutputError, UadError
from infer.executors.executor import Executor
from infer.executors.processes import ProcessExecutor, WorkerLost

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends processes by signals")


def as_it_is(worker):
    return worker


def processes(workers, outlive=as_it_is):
    return ProcessExecutor(workers, outlive)


# What follows is opened and called in the other processes, which find it by its name.


def open_square():
    return lambda piece: (piece**2, os.getpid())


def open_slow():
    def slow(piece):
        time.sleep(0.2)
        return piece, os.getpid()

    return slow


def open_talkative():
    def talk(piece):
        print("a library says")
        os.write(1, b"and another")
        return piece

    return talk


def open_refusing():
    def refuse(piece):
        raise BadOutputError("the disk is full", hint="free some space")

    return refuse


class Unsendable(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def open_unsendable():
    def refuse(piece):
        raise Unsendable("one", "two")

    return refuse


def open_mortal():
    def die_at_three(piece):
        if piece == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return piece, os.getpid()

    return die_at_three


def open_nothing():
    os._exit(7)


def is_alive(pid):
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def ended(pids, within=10):
    """Whether all these processes are gone, after a while."""
    until = time.monotonic() + within
    while time.monotonic() < until and any(map(is_alive, pids)):
        time.sleep(0.05)
    return not any(map(is_alive, pids))


def test_it_keeps_the_protocol():
    assert isinstance(processes(1), Executor)


def test_every_piece_of_work_is_done_once_by_other_processes():
    results = list(processes(2).map(open_square, range(50)))
    assert sorted(square for square, _ in results) == [piece**2 for piece in range(50)]
    assert os.getpid() not in {pid for _, pid in results}


def test_each_worker_has_a_process_of_its_own():
    assert len({pid for _, pid in processes(2).map(open_slow, range(6))}) == 2


def test_when_all_is_done_no_process_is_left():
    pids = {pid for _, pid in processes(2).map(open_slow, range(4))}
    assert ended(pids)


def test_when_it_is_closed_no_process_is_left():
    results = processes(2).map(open_slow, range(1000))
    _, pid = next(results)
    results.close()
    assert ended({pid})


def test_what_libraries_print_does_not_get_between_results():
    assert sorted(processes(1).map(open_talkative, range(3))) == [0, 1, 2]


def test_an_error_of_a_worker_is_raised_where_results_are_read():
    with pytest.raises(BadOutputError, match="the disk is full") as raised:
        list(processes(2).map(open_refusing, range(10)))
    assert raised.value.hint == "free some space"


def test_an_error_that_cannot_be_sent_arrives_in_words():
    with pytest.raises(RuntimeError, match="Unsendable: one and two"):
        list(processes(1).map(open_unsendable, range(10)))


def test_over_what_a_process_died_is_said_and_another_goes_on():
    def outlive(worker):
        def surely(piece):
            try:
                return worker(piece)
            except WorkerLost as lost:
                return piece, str(lost)

        return surely

    results = dict(processes(1, outlive).map(open_mortal, range(6)))
    assert results.pop(3) == "its process was ended by SIGKILL"
    assert sorted(results) == [0, 1, 2, 4, 5]
    assert results[2] != results[4]


def test_a_process_that_dies_while_it_is_started_ends_the_work():
    with pytest.raises(UadError, match=r"could not be started: .* exit code 7"):
        list(processes(2).map(open_nothing, range(10)))


def test_however_their_parent_ends_processes_end_too(tmp_path: Path):
    script = (
        "from tests.infer.executors.test_processes import open_slow, processes\n"
        "for _, pid in processes(2).map(open_slow, range(1000)):\n"
        "    print(pid, flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        cwd=tmp_path,
    )
    with parent:
        pids = {int(parent.stdout.readline()) for _ in range(4)}
        parent.kill()
    assert pids
    assert ended(pids)


def open_endless():
    def sleep(piece):
        if piece:
            time.sleep(60)
        return os.getpid()

    return sleep


def test_after_a_keyboard_interrupt_processes_end_at_once():
    results = processes(1).map(open_endless, range(1000))
    pid = next(results)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    assert ended({pid})
    assert time.monotonic() - start < 10
