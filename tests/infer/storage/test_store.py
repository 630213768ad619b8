"""Objects: listed, fetched, put; also where the store answers late, with errors, or breaks off."""

import errno
import itertools
import os
import time

import fsspec
import pytest

from infer.errors import BadOutputError, MissingExtraError, StoreError, UnknownChoiceError
from infer.storage import store as stores
from infer.storage.address import place_of
from infer.storage.store import content_of, create, fetch, object_at, objects_in, put, remove


@pytest.fixture
def folder(bucket):
    return place_of(f"{bucket.url}/folder")


def first(times, fault, method="GET", within=""):
    """The first answers to such requests go wrong."""
    left = itertools.count()

    def choose(asked, path):
        is_meant = asked == method and within in path
        return fault if is_meant and next(left) < times else None

    return choose


def test_objects_are_listed_with_size_and_what_tells_their_content(bucket, folder):
    bucket.put("folder/a.png", b"12345")
    bucket.put("folder/ward/b.png", b"1")
    bucket.put("folder-beside/c.png", b"")
    bucket.put("folder/", b"")  # what consoles make for an empty folder
    found = {str(it.address): it for it in objects_in(folder)}
    assert {name: it.size for name, it in found.items()} == {
        f"{folder}/a.png": 5,
        f"{folder}/ward/b.png": 1,
    }
    assert found[f"{folder}/a.png"] == object_at(folder / "a.png")
    bucket.put("folder/a.png", b"54321")
    assert found[f"{folder}/a.png"].version != object_at(folder / "a.png").version


def test_of_what_is_not_there_nothing_is_said(folder, tmp_path):
    assert list(objects_in(folder)) == []
    assert object_at(folder / "a") is None
    assert content_of(folder / "a") is None
    remove(folder / "a")
    with pytest.raises(FileNotFoundError):
        fetch(folder / "a", tmp_path / "here")


@pytest.mark.parametrize("key", ["a b", "a\nb", "ü", "a+b%20c", "a*b[c]", "a?b", "a#b", "a//b"])
def test_what_is_put_under_any_name_is_listed_and_fetched_under_it(bucket, folder, tmp_path, key):
    stored = put(folder / key, b"content")
    assert bucket.get(f"folder/{key}") == b"content"
    assert list(objects_in(folder)) == [stored]
    fetch(stored.address, tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"content"
    remove(stored.address)
    assert bucket.keys() == []


def test_only_one_creates_an_object(bucket, folder):
    assert create(folder / "lock", b"one")
    assert not create(folder / "lock", b"other")
    assert bucket.get("folder/lock") == b"one"


def test_a_creation_whose_answer_was_lost_is_ours(store, folder):
    lost = []

    def choose(method, path):
        if method == "PUT" and not lost:
            lost.append(path)
            return "closed after"
        return None

    store.choose = choose
    assert create(folder / "lock", b"one")
    assert lost


@pytest.mark.parametrize("fault", ["500", "503", "closed before", 0.5])
def test_a_fault_that_passes_is_waited_out(store, bucket, folder, tmp_path, quick, fault):
    content = os.urandom(200_000)
    bucket.put("folder/a", content)
    store.choose = first(2, fault)
    fetch(folder / "a", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == content
    store.choose = first(2, fault, method="PUT")
    put(folder / "b", content)
    assert bucket.get("folder/b") == content
    store.choose = first(2, fault, within="list-type")
    assert len(list(objects_in(folder))) == 2


def test_an_object_that_is_put_twice_since_the_answer_was_lost_is_whole(store, bucket, folder):
    store.choose = first(1, "closed after", method="PUT")
    put(folder / "a", b"content")
    assert bucket.get("folder/a") == b"content"
    assert len([it for it in store.asked if it.startswith("PUT")]) == 2


def test_a_large_object_that_is_cut_off_again_and_again_comes_whole(
    store, bucket, folder, tmp_path
):
    content = os.urandom(2_000_000)
    bucket.put("folder/a", content)
    store.choose = first(3, "cut")
    fetch(folder / "a", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == content


def test_an_answer_that_does_not_come_is_asked_for_again_and_patience_may_be_set(
    store, bucket, folder, tmp_path, monkeypatch
):
    bucket.put("folder/a", b"content")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"config_kwargs": {"read_timeout": 0.5}})
    stores._system_of.cache_clear()
    store.choose = first(1, 5.0)
    start = time.monotonic()
    fetch(folder / "a", tmp_path / "here")
    assert (tmp_path / "here").read_bytes() == b"content"
    assert time.monotonic() - start < 5
    stores._system_of.cache_clear()


def test_a_fault_that_stays_is_an_error_with_a_reason(store, bucket, folder, tmp_path, quick):
    bucket.put("folder/a", b"content")
    store.choose = lambda method, path: "500"
    for ask in (
        lambda: fetch(folder / "a", tmp_path / "here"),
        lambda: put(folder / "b", b"content"),
        lambda: list(objects_in(folder)),
    ):
        with pytest.raises(
            StoreError, match=f"{folder}.* could not be .*, its store says: ."
        ) as failed:
            ask()
        assert "does the store answer" in failed.value.hint
    assert bucket.keys() == ["folder/a"]


def test_a_full_disk_is_not_the_stores_fault(bucket, folder, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    bucket.put("folder/a", b"content")
    monkeypatch.setattr(stores._system(folder), "get_file", full)
    with pytest.raises(BadOutputError, match="has no room for"):
        fetch(folder / "a", tmp_path / "here")


def test_a_store_that_nobody_knows_and_one_that_is_not_installed_are_refused(monkeypatch):
    with pytest.raises(UnknownChoiceError, match="no store that fsspec knows"):
        object_at(place_of("s4://bucket/a"))

    def lacks(scheme, **options):
        raise ImportError("Install s3fs")

    monkeypatch.setattr(fsspec, "filesystem", lacks)
    stores._system_of.cache_clear()
    with pytest.raises(MissingExtraError) as refused:
        object_at(place_of("s3://bucket/a"))
    assert "uad[s3]" in refused.value.hint
    stores._system_of.cache_clear()


def test_without_credentials_it_is_said_where_they_come_from(bucket, folder, monkeypatch):
    bare = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
    monkeypatch.setattr(stores, "_system", lambda address: bare)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    with pytest.raises(StoreError, match="credentials") as refused:
        put(folder / "a", b"")
    assert "the store's own ways" in refused.value.hint


def test_what_an_error_says_holds_no_key():
    error = OSError("no answer of https://me:word@host/a?X-Amz-Signature=abc\nand further")
    assert stores._reason(error) == "no answer of https://host/a"
