"""A shelf is a dictionary of bytes in order, whatever it holds and however much."""

import math
import resource
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infer.shelf import AT_ONCE, Shelf, as_name, as_place, as_text, batched, falling

NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from("\udcff\udc80\0/"))


@settings(max_examples=50)
@given(st.lists(st.tuples(NAMES, st.binary(max_size=20))))
def test_it_holds_what_a_dictionary_would_in_the_order_of_the_texts(items):
    shelf = Shelf()
    shelf.put((as_name(name), content) for name, content in items)
    found = [(as_text(name), content) for name, content in shelf.items()]
    assert found == sorted(dict(items).items())
    assert len(shelf) == len(dict(items))


@given(st.lists(st.floats(allow_nan=False)))
def test_scores_are_ordered_from_the_largest(values):
    assert sorted(values, key=falling) == sorted(values, reverse=True)


def test_more_than_is_read_at_once_is_read_once_each():
    shelf = Shelf()
    count = 2 * AT_ONCE
    shelf.put((as_place(at), b"") for at in range(count))
    assert [name for name, _ in shelf.items()] == [as_place(at) for at in range(count)]


@pytest.mark.parametrize("first", [0, 3, AT_ONCE, 2 * AT_ONCE])
def test_it_is_read_from_any_name_on(first):
    shelf = Shelf()
    count = 2 * AT_ONCE
    shelf.put((as_place(at), b"") for at in range(0, count, 2))
    found = [name for name, _ in shelf.items(start=as_place(first))]
    assert found == [as_place(at) for at in range(0, count, 2) if at >= first]


def test_what_is_there_is_not_added_again():
    shelf = Shelf()
    assert shelf.add(b"a", b"first")
    assert not shelf.add(b"a", b"second")
    assert shelf.get(b"a") == b"first"
    shelf.discard(b"a")
    assert b"a" not in shelf


def test_another_thread_may_go_on_where_one_was():
    shelf = Shelf()
    shelf.put((as_place(at), b"") for at in range(AT_ONCE + 5))
    items, rest = shelf.items(), []
    next(items)
    thread = threading.Thread(target=lambda: rest.extend(items))
    thread.start()
    thread.join()
    assert len(rest) == AT_ONCE + 4


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process's memory as Linux says it")
def test_what_is_kept_takes_no_memory():
    shelf = Shelf()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for some in batched(range(50_000)):
        shelf.put((as_place(at), bytes(1000)) for at in some)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 20_000  # of 50,000
    assert math.prod((len(shelf), 1000)) == 50_000_000
