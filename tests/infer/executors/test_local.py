"""Threads: every piece once, bounded, and errors come out."""

import threading
import time

import pytest

from infer.executors.executor import Executor
from infer.executors.local import LocalExecutor


def test_it_keeps_the_protocol():
    assert isinstance(LocalExecutor(1), Executor)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_piece_of_work_is_done_once(workers):
    results = LocalExecutor(workers).map(lambda: lambda piece: piece**2, range(50))
    assert sorted(results) == [piece**2 for piece in range(50)]


def test_each_worker_is_opened_in_its_own_thread():
    opened = []

    def open_worker():
        opened.append(threading.get_ident())
        return lambda piece: piece

    list(LocalExecutor(3).map(open_worker, range(10)))
    assert len(set(opened)) == 3
    assert threading.get_ident() not in opened


def test_work_is_taken_only_as_results_are_fetched():
    taken = []

    def work():
        for piece in range(1000):
            taken.append(piece)
            yield piece

    results = LocalExecutor(2).map(lambda: lambda piece: piece, work())
    next(results)
    time.sleep(0.2)  # enough for idle threads to take far more, were they allowed to
    assert len(taken) < 20
    results.close()


def test_when_it_is_closed_nothing_is_in_flight_any_more():
    before = threading.active_count()

    def slow(piece):
        time.sleep(0.05)
        return piece

    results = LocalExecutor(3).map(lambda: slow, range(1000))
    next(results)
    time.sleep(0.5)  # until nobody takes results and all workers wait for room
    results.close()
    assert threading.active_count() == before


def test_when_work_ends_what_is_in_flight_is_finished():
    stop = threading.Event()

    def work():
        for piece in range(1000):
            if stop.is_set():
                return
            yield piece

    results = LocalExecutor(2).map(lambda: lambda piece: piece, work())
    first = next(results)
    stop.set()
    rest = list(results)
    done = sorted([first, *rest])
    assert done == list(range(len(done)))
    assert len(done) < 20


def test_an_error_of_a_worker_is_raised_where_results_are_read():
    def worker(piece):
        if piece == 3:
            raise RuntimeError("three")
        return piece

    with pytest.raises(RuntimeError, match="three"):
        list(LocalExecutor(2).map(lambda: worker, range(10)))


def test_after_a_keyboard_interrupt_nobody_waits_for_what_is_in_flight():
    asleep = threading.Event()

    def sleep(piece):
        if piece == 0:
            return piece
        asleep.wait(10)
        return piece

    results = LocalExecutor(2).map(lambda: sleep, range(1000))
    next(results)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    assert time.monotonic() - start < 5
    asleep.set()
