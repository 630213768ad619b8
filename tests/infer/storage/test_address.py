"""What is an address and what a path; no key is taken, and none is repeated."""

from pathlib import Path

import pytest

from infer.errors import UnknownChoiceError
from infer.storage.address import Address, place_of, refuse_web


@pytest.mark.parametrize(
    "text", ["scans", "/data/scans", "C:/scans", "C://scans", "a:b", "ward:/b/k"]
)
def test_a_path_stays_one(text):
    assert place_of(text) == Path(text)


def test_an_address_has_a_scheme_and_a_path():
    assert place_of("S3://bucket/scans/") == Address("s3", "bucket/scans")
    assert str(place_of("gs://bucket")) == "gs://bucket"
    azure = "abfs://container@account.dfs.core.windows.net/scans"
    assert str(place_of(azure)) == azure
    assert str(place_of("https://host:9000/model.onnx")) == "https://host:9000/model.onnx"


@pytest.mark.parametrize(
    "text",
    [
        "s3://AKIAME:sec/ret@bucket/scans",
        "s3://AKIAME:secret@bucket",
        "s3://secret@bucket/scans",
        "https://me:secret@host/a.onnx",
        "https://host/a.onnx?X-Amz-Signature=secret",
        "s3://bucket/scans?secret",
        "simplecache::s3://secret@bucket",
        "zip://a::s3://bucket/secret",
    ],
)
def test_an_address_with_a_key_is_refused_and_not_repeated(text):
    with pytest.raises(UnknownChoiceError, match="with a key") as refused:
        place_of(text)
    said = f"{refused.value} {refused.value.hint}"
    assert "ret" not in said
    assert "AKIA" not in said


@pytest.mark.parametrize("text", ["s3://", "s3:///a", "s3://b//a", "s3://b/../a", "s3://b/."])
def test_an_address_that_may_mean_another_place_is_refused(text):
    with pytest.raises(UnknownChoiceError, match="not an address of one place"):
        place_of(text)


def test_an_address_of_this_machine_is_to_be_written_as_a_path():
    with pytest.raises(UnknownChoiceError, match="is on this machine"):
        place_of("file:///data/scans")


def test_a_web_server_is_for_models_only():
    refuse_web(place_of("s3://bucket/scans"))
    with pytest.raises(UnknownChoiceError, match="is on a web server"):
        refuse_web(place_of("https://host/scans"))


def test_places_within_a_folder():
    folder = place_of("s3://bucket/scans")
    assert (folder / "ward/a.png").is_within(folder)
    assert folder.is_within(folder)
    assert not place_of("s3://bucket/scans2").is_within(folder)
    assert not place_of("gs://bucket/scans/a").is_within(folder)
    assert (folder / "a.png").name == "a.png"
    assert (folder / "a.png").parent == folder
