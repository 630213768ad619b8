"""A bucket for each test, in a local S3 server that answers as it is told to."""

import asyncio
import uuid

import pytest

from tests.infer.storage.bucket import Bucket
from tests.infer.storage.faulty_store import running


@pytest.fixture(scope="session")
def server():
    with running() as store:
        yield store


@pytest.fixture
def store(server):
    """The server without faults; what is set in a test ends with it."""
    server.asked.clear()
    yield server
    server.choose = lambda method, path: None


@pytest.fixture
def bucket(store):
    return Bucket(store, f"bucket-{uuid.uuid4().hex[:12]}")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Models are cached for one test only."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def quick(monkeypatch):
    """As always, but without waiting between tries."""
    sleep = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *rest: sleep(0, *rest))
