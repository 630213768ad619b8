"""The hold on a folder in object storage, while the store fails now and then."""

import time

import pytest

from infer.errors import BadOutputError, StoreError
from infer.storage import claim
from infer.storage.address import Address
from infer.storage.claim import Claim

BEAT = 0.02
OUT = Address("s3", "bucket/out")
LOCK = OUT / ".uad-lock"


class Kept:
    """A store of one object, whose next put fails: before it is done, or after."""

    def __init__(self):
        self.content = None
        self.puts = 0
        self.fault = ""

    def create(self, lock, content):
        if self.content is not None:
            return False
        self.content = content
        return True

    def put(self, lock, content):
        self.puts += 1
        fault, self.fault = self.fault, ""
        if fault != "before":
            self.content = content
        if fault:
            raise StoreError("no answer", hint="")

    def content_of(self, lock):
        return self.content

    def remove(self, lock):
        self.content = None


@pytest.fixture
def store(monkeypatch):
    kept = Kept()
    for name in ("create", "put", "content_of", "remove"):
        monkeypatch.setattr(claim, name, getattr(kept, name))
    monkeypatch.setattr(claim, "BEAT_SECONDS", BEAT)
    return kept


def wait_for_puts(store, more):
    """Until so many more renewals were tried."""
    wanted, start = store.puts + more, time.monotonic()
    while store.puts < wanted and time.monotonic() - start < 100 * BEAT * more:
        time.sleep(BEAT / 4)
    assert store.puts >= wanted


@pytest.mark.parametrize("fault", ["before", "after"])
def test_a_renewal_that_fails_loses_nothing_and_the_lock_is_gone_at_the_end(store, fault):
    held = Claim(LOCK, OUT, lambda: None)
    with held.held():
        wait_for_puts(store, 1)
        store.fault = fault
        wait_for_puts(store, 3)
        held.refuse_lost()
    assert store.content is None


def test_another_run_that_took_the_folder_is_noticed_and_its_lock_left_alone(store):
    held = Claim(LOCK, OUT, lambda: None)
    with held.held():
        wait_for_puts(store, 1)
        store.content = b"of another"
        time.sleep(10 * BEAT)
        with pytest.raises(BadOutputError, match="was lost"):
            held.refuse_lost()
    assert store.content == b"of another"
