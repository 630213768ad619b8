"""Images read ahead: the same as without, however the caller's rows come."""

import threading

import numpy as np
import pytest
import torch

from train.prefetch import AHEAD, Prefetch


def rows(*numbers):
    return torch.tensor(numbers)


class Watched:
    """An array that tells which rows were read, and waits until it may."""

    def __init__(self):
        self.array = np.arange(40, dtype=np.float32).reshape(40, 1, 1, 1)
        self.read, self.may = [], threading.Event()
        self.may.set()

    def __len__(self):
        return len(self.array)

    def __getitem__(self, at):
        self.may.wait(10)
        self.read.append(at.tolist())
        return self.array[at]


def seen(images):
    return images.flatten().tolist()


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def prefetch(watched):
    given = Prefetch(watched.array, pinned=False)
    given.images = watched
    return given


def test_what_was_announced_is_read_once_and_in_order(prefetch, watched):
    batches = [rows(3, 1), rows(2, 0), rows(5, 9)]
    for at, batch in enumerate(batches):
        assert seen(prefetch.take(batch, batches[at + 1 :])) == batch.tolist()
    assert watched.read == [batch.tolist() for batch in batches]


def test_no_more_is_read_ahead_than_a_few_batches(prefetch, watched):
    batches = [rows(at) for at in range(20)]
    prefetch.take(batches[0], batches[1:])
    prefetch._thread.shutdown()
    assert watched.read == [[at] for at in range(AHEAD + 1)]


def test_what_comes_otherwise_than_announced_is_still_right(prefetch):
    prefetch.take(rows(0, 1), [rows(2, 3), rows(4, 5)])
    assert seen(prefetch.take(rows(7, 8), [rows(9, 10)])) == [7, 8]
    assert seen(prefetch.take(rows(9, 10), [])) == [9, 10]


def test_waiting_is_counted_and_what_is_there_already_is_not(prefetch, watched):
    prefetch.take(rows(0), [rows(1), rows(2)])
    watched.may.clear()
    threading.Timer(0.2, watched.may.set).start()
    before = prefetch.waited
    prefetch.take(rows(9), [])  # nobody announced it
    assert prefetch.waited - before > 0.1
    batches = [rows(5), rows(6)]
    prefetch.take(batches[0], batches[1:])
    prefetch._coming[0][1].result(10)
    before = prefetch.waited
    prefetch.take(batches[1], [])
    assert prefetch.waited - before < 0.1


def test_an_error_while_reading_ahead_comes_out(prefetch, watched):
    prefetch.take(rows(0), [rows(99)])
    with pytest.raises(IndexError):
        prefetch.take(rows(99), [])
