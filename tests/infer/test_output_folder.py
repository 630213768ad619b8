"""The output folder: one run at a time, nothing lost that is not ours."""

import errno
import os

import pytest

from infer import journal, output_folder
from infer.digest import digest
from infer.errors import BadOutputError
from infer.output_folder import claimed, refuse_harmful, start_afresh
from infer.report_csv import Row


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    return folder


def test_the_folder_of_the_scans_is_refused(scans):
    with pytest.raises(BadOutputError, match="the scans themselves"):
        refuse_harmful(scans, scans)


def test_a_folder_whose_masks_are_the_scans_is_refused(tmp_path):
    scans = tmp_path / "masks" / "ward"
    scans.mkdir(parents=True)
    with pytest.raises(BadOutputError, match="the scans themselves"):
        refuse_harmful(tmp_path, scans)


def test_folders_beside_below_and_above_the_scans_are_taken(tmp_path, scans):
    for out in (tmp_path / "out", scans / "out", tmp_path):
        refuse_harmful(out, scans)


@pytest.mark.parametrize("name", ["report.csv", "run.json", "masks"])
def test_a_folder_with_somebody_elses_results_is_refused(tmp_path, scans, name):
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    with pytest.raises(BadOutputError, match=f"{name} that uad-infer did not make"):
        refuse_harmful(out, scans)


def test_a_file_is_refused(tmp_path, scans):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(BadOutputError, match="is a file"):
        refuse_harmful(tmp_path / "out", scans)


def test_a_second_run_into_a_claimed_folder_is_refused(tmp_path):
    with (
        claimed(tmp_path / "out"),
        pytest.raises(BadOutputError, match="another uad-infer"),
        claimed(tmp_path / "out"),
    ):
        pass
    with claimed(tmp_path / "out"):  # and the next one is not
        pass


def test_starting_afresh_removes_what_we_made_and_nothing_else(tmp_path):
    with claimed(tmp_path):
        (tmp_path / "masks/ward").mkdir(parents=True)
        (tmp_path / "masks/ward/a.png").write_bytes(b"ours")
        (tmp_path / "masks/mine.txt").write_text("mine")
        (tmp_path / "report.csv").write_text("ours")
        row = Row(scan="a.png", status="ok")
        outputs = {"masks/ward/a.png": digest(b"ours")}
        entries = [journal.Entry("key", "content", outputs, row, "")]
        journal.append_entries(tmp_path / output_folder.JOURNAL, entries)
        start_afresh(tmp_path)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"masks", "masks/mine.txt", output_folder.JOURNAL, output_folder.LOCK}


def test_a_journal_cannot_lead_outside_the_folder(tmp_path):
    precious = tmp_path / "precious.png"
    precious.write_bytes(b"x")
    out = tmp_path / "out"
    out.mkdir()
    row = Row(scan="a.png", status="ok")
    entry = journal.Entry("key", "content", {"../precious.png": "", str(precious): ""}, row, "")
    output_folder.remove_outputs(out, entry)
    assert precious.exists()


def test_what_a_killed_run_was_writing_is_removed(tmp_path):
    (tmp_path / "masks").mkdir()
    partial = tmp_path / "masks" / ".0123456789abcdef.part"
    partial.write_bytes(b"half")
    with claimed(tmp_path):
        assert not partial.exists()


def test_a_file_system_without_locks_is_not_taken_for_another_run(tmp_path, monkeypatch):
    def refuse(file, *, shared=False):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(output_folder, "_lock", refuse)
    place = claimed(tmp_path / "out")
    with pytest.raises(BadOutputError, match="cannot be locked: Function not") as caught, place:
        pytest.fail("it was claimed")
    assert "choose an --out elsewhere" in caught.value.hint


def test_a_folder_is_ours_at_every_moment_of_starting_afresh(tmp_path, monkeypatch):
    """Killed at any of them, the same command must go on."""
    removed, was_there = output_folder.remove_empty, []

    def look(folder):
        was_there.append((tmp_path / output_folder.JOURNAL).exists())
        removed(folder)

    monkeypatch.setattr(output_folder, "remove_empty", look)
    with claimed(tmp_path):
        start_afresh(tmp_path)
    assert was_there
    assert all(was_there)


def test_the_page_goes_with_the_record_of_its_run(tmp_path):
    for name in (output_folder.RUN, output_folder.PAGE, output_folder.REPORT):
        (tmp_path / name).write_text("of an earlier run")
    output_folder.remove_run(tmp_path)
    assert [it.name for it in tmp_path.iterdir()] == [output_folder.REPORT]


def test_a_folder_that_cannot_be_looked_at_is_refused_in_words(tmp_path):
    with pytest.raises(BadOutputError, match="File name too long"):
        output_folder.refuse_foreign(tmp_path / ("a" * 300))
