"""A folder that is filled by one process and seen by others when it is whole."""

import shutil

import pytest

from infer.errors import UadError
from train.unfinished import taking_the_place_of


def fill(folder, *names):
    with taking_the_place_of(folder) as partial:
        for name in names:
            (partial / name).write_text(name)


def names_in(folder):
    return sorted(it.name for it in folder.iterdir())


def test_one_that_is_killed_while_it_removes_the_old_folder_has_replaced_it(tmp_path, monkeypatch):
    folder = tmp_path / "data/study"
    fill(folder, "cases.csv", "old.csv")
    remove = shutil.rmtree

    def killed(path, **options):
        (path / "cases.csv").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        fill(folder, "cases.csv", "new.csv")
    assert names_in(folder) == ["cases.csv", "new.csv"]
    monkeypatch.setattr(shutil, "rmtree", remove)
    fill(folder, "cases.csv", "newer.csv")
    assert names_in(folder) == ["cases.csv", "newer.csv"]
    assert names_in(folder.parent) == [".study.lock", "study"]


def test_one_that_is_killed_while_the_folders_change_places_has_lost_nothing(tmp_path):
    folder = tmp_path / "data/study"
    fill(folder, "old.csv")
    folder.rename(folder.with_name(".study.old"))
    with taking_the_place_of(folder) as partial:
        assert names_in(folder) == ["old.csv"]
        (partial / "new.csv").touch()
    assert names_in(folder) == ["new.csv"]
    assert names_in(folder.parent) == [".study.lock", "study"]


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
