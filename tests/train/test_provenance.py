"""Where numbers come from."""

import subprocess

from train.provenance import git_state


def test_the_commit_is_that_whose_code_is_loaded_whatever_is_committed_meanwhile(
    tmp_path, monkeypatch
):
    """A night's fits in one process must not be called after tomorrow's commit."""
    monkeypatch.chdir(tmp_path)
    commit()
    first = git_state()
    assert len(first.commit) == 40
    commit()
    (tmp_path / "edited.py").touch()
    assert git_state() == first


def commit():
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")
    for arguments in (("init", "-q"), ("commit", "-q", "--allow-empty", "-m", "more")):
        subprocess.run([*git, *arguments], check=True)
