"""The journal: what is believed after a kill, and what is not."""

import pytest

from infer import journal
from infer.digest import digest
from infer.journal import Entry
from infer.report_csv import Row
from infer.traits import Traits


def entry(scan="a.png", **outputs):
    row = Row(scan=scan, status="ok", anomalous=True, score=0.1 + 0.2, mask=f"masks/{scan}")
    traits = Traits(0.1 + 0.2, 0.1, (1, 40, 50), (0.0, 0.5, 0.5))
    return Entry("key", "content", outputs, row, "0,1\n", traits)


def test_entries_come_back_exactly(tmp_path):
    path = tmp_path / "journal"
    written = [entry("a.png"), entry("line\nbreak.png"), entry("no text \udcff.png")]
    journal.append_entries(path, written[:1])
    journal.append_entries(path, written[1:])
    assert list(journal.read_entries(path).values()) == written


def test_entries_of_before_traits_come_back_without(tmp_path):
    path = tmp_path / "journal"
    older = entry()._replace(traits=None)
    journal.append_entries(path, [older])
    path.write_text(path.read_text().replace(', "traits": null', ""))
    assert "traits" not in path.read_text()
    assert list(journal.read_entries(path).values()) == [older]


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path, kept):
    path = tmp_path / "journal"
    journal.append_entries(path, [entry("a.png"), entry("b.png")])
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: first + int(kept * (len(whole) - first - 1))])
    assert list(journal.read_entries(path)) == ["a.png"]


@pytest.mark.parametrize("line", ["", "[]", "7", "{}", '{"row": {"nonsense": 1}}', "\x00\x00"])
def test_a_line_of_something_else_is_left_out(tmp_path, line):
    path = tmp_path / "journal"
    path.write_text(line + "\n")
    journal.append_entries(path, [entry("b.png")])
    assert list(journal.read_entries(path)) == ["b.png"]


def test_the_last_entry_of_a_scan_counts(tmp_path):
    path = tmp_path / "journal"
    later = entry()._replace(content="later")
    journal.append_entries(path, [entry(), later])
    assert journal.read_entries(path) == {"a.png": later}


def test_an_output_that_was_changed_or_lost_is_not_whole(tmp_path):
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"mask")
    done = entry(**{"mask.png": digest(b"mask")})
    assert journal.is_whole(done, tmp_path)
    mask.write_bytes(b"mas")
    assert not journal.is_whole(done, tmp_path)
    mask.unlink()
    assert not journal.is_whole(done, tmp_path)


def test_whatever_shapes_a_result_changes_the_key():
    keys = {
        journal.key_of(model="a", threshold=None),
        journal.key_of(model="b", threshold=None),
        journal.key_of(model="a", threshold=0.5),
    }
    assert len(keys) == 3
