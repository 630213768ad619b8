"""What is in flight: what is lost is tried again, alone, and not more often than was asked for."""

import pytest

from infer.executors.flight import Piece, Queue, Tally


def queue(*pieces, retries):
    return Queue(pieces, retries=retries, instead=lambda member, reason: (member, reason))


def taken(queue):
    """All that is left in it."""
    pieces = []
    while (piece := queue.take()) is not None:
        pieces.append(piece)
    return pieces


def test_work_is_taken_one_by_one_as_it_is_asked_for():
    asked = []
    work = (asked.append(at) or [at] for at in range(5))
    waiting = Queue(work, retries=1, instead=lambda member, reason: None)
    assert waiting.take() == Piece([0])
    assert asked == [0]


def test_of_what_was_worked_on_each_is_tried_again_by_itself():
    waiting = queue("ab", "c", retries=1)
    assert waiting.lost([waiting.take()], at_a_time=1, reason="it ended") == []
    assert taken(waiting) == [Piece(["a"], 1), Piece(["b"], 1), Piece("c")]


def test_what_was_not_begun_is_as_it_was():
    waiting = queue("ab", "cd", retries=0)
    given = [waiting.take(), waiting.take()]
    waiting.lost(given, at_a_time=1, reason="it ended")
    assert taken(waiting) == [Piece("cd")]


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_member_is_tried_once_and_so_many_times_again(retries):
    waiting = queue("a", retries=retries)
    tries, given_up = 0, []
    while (piece := waiting.take()) is not None:
        tries += 1
        given_up += waiting.lost([piece], at_a_time=1, reason="it ended")
    assert tries == 1 + retries
    ((member, reason),) = given_up
    assert member == "a"
    assert reason.endswith("at last since it ended")


def test_beside_other_work_nothing_is_taken_over_which_a_worker_was_lost():
    waiting = queue("a", "b", retries=1)
    waiting.lost([waiting.take()], at_a_time=1, reason="it ended")
    assert waiting.take(beside=True) == Piece("b")
    assert waiting.take(beside=True) is None
    assert waiting.take() == Piece(["a"], 1)


def test_a_machines_throughput_is_that_of_the_time_it_took_part():
    tally = Tally("one", workers=2, lost=1, scans=30, seconds=10.0)
    assert tally.in_words() == "one: 30 scans by 2 workers, 1 of them lost (3 scans/s)"
    assert tally.as_record()["scans_per_second"] == 3.0
    assert Tally("idle").scans_per_second == 0.0
