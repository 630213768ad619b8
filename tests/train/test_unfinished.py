"""A folder that is filled by one process and seen by others when it is whole."""

import pytest

from infer.errors import UadError
from train.unfinished import taking_the_place_of


def test_two_do_not_fill_one_folder_at_a_time(tmp_path):
    folder = tmp_path / "data/study"
    with taking_the_place_of(folder) as partial:
        (partial / "images.npy").write_bytes(b"first")
        with (
            pytest.raises(UadError, match="another process is writing"),
            taking_the_place_of(folder),
        ):
            pass
        assert (partial / "images.npy").read_bytes() == b"first"
    assert (folder / "images.npy").read_bytes() == b"first"
    with taking_the_place_of(folder) as partial:
        (partial / "images.npy").write_bytes(b"second")
    assert (folder / "images.npy").read_bytes() == b"second"


def test_a_link_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder = tmp_path / "data/study"
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UadError, match="is a link"), taking_the_place_of(folder):
        pytest.fail("it was begun")
    assert folder.is_symlink()
