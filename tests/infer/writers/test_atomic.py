"""Files are whole or not there."""

from pathlib import Path

import pytest

from infer.errors import BadOutputError
from infer.writers.atomic import write_bytes


def test_folders_are_made_and_nothing_else_remains(tmp_path):
    write_bytes(tmp_path / "a/b/c.bin", b"content")
    assert (tmp_path / "a/b/c.bin").read_bytes() == b"content"
    assert [path.name for path in (tmp_path / "a/b").iterdir()] == ["c.bin"]


def test_an_interrupted_write_leaves_the_old_file_and_no_partial_one(tmp_path, monkeypatch):
    path = tmp_path / "report.csv"
    write_bytes(path, b"old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(BadOutputError, match="No space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_a_file_system_takes_can_be_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".png")
    write_bytes(path, b"content")
    assert path.read_bytes() == b"content"


def test_a_folder_that_is_a_file_is_an_error_a_user_can_mend(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(BadOutputError):
        write_bytes(tmp_path / "file" / "mask.png", b"content")
