"""--model s3://…: fetched once for each content, whole or not at all; no key is left anywhere."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from infer import load
from infer.errors import BadModelError
from infer.model_source import located
from tests.infer.storage.faulty_store import KEY, SECRET


def here(address):
    """The file of a model, of which there is nothing to tell."""
    return located(address, pytest.fail)


@pytest.fixture
def address(bucket, tiny_model):
    return bucket.put("models/tiny.onnx", tiny_model.read_bytes())


def downloads(store):
    return [asked for asked in store.asked if asked.startswith("GET") and "tiny.onnx" in asked]


def test_the_file_is_that_of_the_store_under_its_name(address, tiny_model):
    file = here(address)
    assert file.path.read_bytes() == tiny_model.read_bytes()
    assert file.path.name == "tiny.onnx"
    assert file.address == address


def test_it_is_fetched_once_for_each_content(store, bucket, address, tiny_model):
    for _ in range(2):
        here(address)
    assert len(downloads(store)) == 1
    bucket.put("models/tiny.onnx", tiny_model.read_bytes() + b" ")
    file = here(address)
    assert file.path.read_bytes() == tiny_model.read_bytes() + b" "
    assert len(downloads(store)) == 2


def test_a_copy_that_was_changed_here_is_fetched_again(store, address, tiny_model):
    file = here(address)
    file.path.write_bytes(b"not a model")
    file = here(address)
    assert file.path.read_bytes() == tiny_model.read_bytes()


def test_a_cache_that_was_removed_costs_a_fetch(address, cache):
    here(address)
    shutil.rmtree(cache)
    file = here(address)
    assert file.path.exists()


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_a_fault_that_passes_is_waited_out(store, address, tiny_model, fault):
    left = [fault]
    store.choose = lambda method, path: left.pop() if left and method == "GET" else None
    file = here(address)
    assert file.path.read_bytes() == tiny_model.read_bytes()


def test_what_is_not_there_or_refused_is_said(store, bucket, address, cache):
    for name in ("models/other.onnx", "models"):
        with pytest.raises(BadModelError, match="no object in its store"):
            here(f"{bucket.url}/{name}")
    with pytest.raises(BadModelError, match="is no object"):
        here("s3://no-such-bucket-here/a")
    assert not cache.exists()


def test_a_model_that_is_changed_while_it_is_fetched_is_refused(store, bucket, address, cache):
    def choose(method, path):
        if method == "GET":
            bucket.put("models/tiny.onnx", b"another model")

    store.choose = choose
    with pytest.raises(BadModelError, match="was changed while it was fetched"):
        here(address)
    assert not list(cache.rglob("*.onnx"))


@pytest.mark.parametrize("key", ["a\nb.onnx", "no ending", "é" * 150 + ".onnx"])
def test_a_name_that_no_file_should_have_stays_in_the_store(bucket, tiny_model, cache, key):
    file = here(bucket.put(key, tiny_model.read_bytes()))
    assert file.path.name == "model.onnx"
    assert file.path.is_relative_to(cache)


def test_no_key_is_in_the_cache(address, cache):
    here(address)
    for path in cache.rglob("*"):
        assert SECRET not in str(path)
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
            assert KEY.encode() not in path.read_bytes()


def test_a_program_loads_it_too(address):
    assert load(address, device="cpu").manifest.study == "tiny"


def test_parts_of_a_job_that_fetch_at_once_do_not_disturb_each_other(address, tiny_model):
    with ThreadPoolExecutor(8) as pool:
        files = list(pool.map(here, [address] * 32))
    assert {file.path.read_bytes() for file in files} == {tiny_model.read_bytes()}
