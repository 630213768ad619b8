"""Digests of files are those of their content."""

import hashlib

import pytest

from infer.digest import PIECE_BYTES, digest, digest_of, digest_of_all, digest_of_files


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, 2 * PIECE_BYTES + 1])
def test_a_file_has_the_digest_of_its_content(tmp_path, size):
    content = bytes(at % 251 for at in range(size))
    (tmp_path / "scan.nii").write_bytes(content)
    assert digest_of(tmp_path / "scan.nii") == hashlib.sha256(content).hexdigest()
    assert digest_of(tmp_path / "scan.nii") == digest(content)


def test_what_cannot_be_read_has_none_alone_or_among_others(tmp_path):
    (tmp_path / "a").write_bytes(b"a")
    assert digest_of(tmp_path / "gone") == digest_of(tmp_path) == ""
    assert digest_of_files([tmp_path / "a", tmp_path / "gone"]) == ""


def test_several_files_have_one_digest_whatever_their_order():
    assert digest_of_all([digest(b"a"), digest(b"b")]) == digest_of_all(
        [digest(b"b"), digest(b"a")]
    )
    assert digest_of_all([digest(b"a")]) != digest_of_all([digest(b"a"), digest(b"a")])
