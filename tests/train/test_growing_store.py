"""A store that grows: the same bytes in any order of arrival, and after any interruption."""

import itertools

import numpy as np
import pytest

from infer.errors import BadOutputError
from train import growing_store
from train.growing_store import GROWING, Entry, GrowingStore

SHAPE = (1, 3, 2)
# How many images each scan has; one could not be read.
COUNTS = {"a": 2, "b": 0, "c": 3, "d": 1}
ORDER = list(COUNTS)


def images_of(key):
    numbered = np.arange(6, dtype=np.float32).reshape(SHAPE)
    return np.repeat(numbered[np.newaxis] + ord(key), COUNTS[key], axis=0)


def open_store(folder, order=ORDER):
    store = GrowingStore(folder, SHAPE, np.dtype("float32"))
    store.go_on(order)
    return store


def put(store, key):
    if COUNTS[key]:
        store.put(Entry(key=key, slices=range_of(key)), images_of(key))
    else:
        store.refuse(key, "it is broken")


def range_of(key):
    return list(range(COUNTS[key]))


def whole(folder, order=ORDER, arrival=ORDER):
    """The bytes of a store that nothing interrupted."""
    store = open_store(folder, order)
    for key in arrival:
        put(store, key)
    for key in order:
        store.take(key)
    store.finish()
    return (folder / "images.npy").read_bytes()


def test_it_is_what_numpy_saves_of_all_images_at_once(tmp_path):
    np.save(tmp_path / "expected.npy", np.concatenate([images_of(key) for key in ORDER]))
    assert whole(tmp_path) == (tmp_path / "expected.npy").read_bytes()
    assert not (tmp_path / GROWING).exists()


@pytest.mark.parametrize("arrival", list(itertools.permutations("abcd"))[::5], ids="".join)
def test_the_order_in_which_scans_are_read_leaves_no_trace(tmp_path, arrival):
    assert whole(tmp_path, arrival=arrival) == whole(tmp_path / "in order")


class Killed(Exception):
    pass


@pytest.mark.parametrize("step", ["append_bytes", "shutil.copyfileobj", "_entry"])
@pytest.mark.parametrize("taken", range(len(ORDER)))
def test_a_kill_at_any_moment_costs_nothing_that_was_read(tmp_path, monkeypatch, step, taken):
    store = open_store(tmp_path)
    for key in ORDER:
        put(store, key)
    for key in ORDER[:taken]:
        store.take(key)

    def kill(*given):
        if step == "shutil.copyfileobj":
            given[1].write(b"half of")
            given[1].flush()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"train.growing_store.{step}", kill)
        with pytest.raises(Killed):
            store.take(ORDER[taken])
    again = open_store(tmp_path)
    assert all(again.is_read(key) for key in ORDER)
    assert [again.take(key).error for key in ORDER] == ["", "it is broken", "", ""]
    again.finish()
    assert (tmp_path / "images.npy").read_bytes() == whole(tmp_path / "uninterrupted")


def test_what_is_to_lie_elsewhere_is_moved_and_not_read_again(tmp_path):
    store = open_store(tmp_path)
    for key in ORDER:
        put(store, key)
        store.take(key)
    other = ["c", "a", "d"]
    again = open_store(tmp_path, other)
    assert all(again.is_read(key) for key in other)
    assert not again.is_read("b")
    for key in other:
        assert list(again.take(key).slices) == range_of(key)
    again.finish()
    assert (tmp_path / "images.npy").read_bytes() == whole(tmp_path / "new", other, other)


def test_scans_that_are_not_wanted_any_more_leave_nothing(tmp_path):
    store = open_store(tmp_path)
    put(store, "a")
    store.take("a")
    put(store, "c")
    again = open_store(tmp_path, ["d"])
    assert not list((tmp_path / GROWING).glob("*.part"))
    put(again, "d")
    again.take("d")
    again.finish()
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), images_of("d"))


def test_a_line_that_a_kill_cut_short_speaks_for_nothing(tmp_path):
    store = open_store(tmp_path)
    for key in ("a", "b"):
        put(store, key)
        store.take(key)
    journal = tmp_path / GROWING / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-5])
    again = open_store(tmp_path)
    assert again.is_done("a")
    assert not again.is_read("b")


def test_images_that_are_not_there_are_not_believed(tmp_path):
    store = open_store(tmp_path)
    for key in ("a", "b", "c"):
        put(store, key)
        store.take(key)
    with (tmp_path / "images.npy").open("r+b") as file:
        file.truncate(file.seek(0, 2) - 1)
    again = open_store(tmp_path)
    assert again.is_done("a")
    assert not again.is_read("c")


@pytest.mark.parametrize("left", [0, 20, -1])
def test_a_part_that_a_power_cut_left_short_is_read_again(tmp_path, left):
    store = open_store(tmp_path)
    for key in ("a", "c"):
        put(store, key)
    part = tmp_path / GROWING / "c.part"
    part.write_bytes(part.read_bytes()[:left])
    again = open_store(tmp_path)
    assert again.is_read("a")
    assert not again.is_read("c")


def test_a_full_disk_is_said_in_words(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    put(store, "a")

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(growing_store.shutil, "copyfileobj", full)
    with pytest.raises(BadOutputError, match="No space left"):
        store.take("a")
