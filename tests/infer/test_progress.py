"""The bar: on a terminal only, and it counts."""

import io
import sys

from infer.progress import Bar, Progress, Silence, open_progress
from infer.report_csv import Row


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_there_is_no_bar_without_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(open_progress(quiet=False), Silence)


def test_there_is_no_bar_if_quiet(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(open_progress(quiet=True), Silence)


def test_what_comes_before_the_first_scan_is_shown_too(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = open_progress(quiet=False)
    bar.prepare("looking for scans")
    bar.end()
    assert "looking for scans" in terminal.getvalue()
    assert terminal.getvalue().rstrip().endswith("\x1b[2K")  # of a run that never began, no bar


def test_the_bar_shows_progress_throughput_and_failures(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = open_progress(quiet=False)
    assert isinstance(bar, Bar)
    assert isinstance(bar, Progress)
    bar.begin(total=5, done=1)
    bar.advance([Row(scan="a.png", status="ok"), Row(scan="b.png", status="failed")])
    bar.end()
    shown = terminal.getvalue()
    for word in ("3/5", "scans/s", "1 failed"):
        assert word in shown


def test_what_must_be_known_is_a_line_of_its_own_with_a_bar_and_without_one_unless_quiet(
    monkeypatch,
):
    for stream, quiet in ((Terminal(), False), (io.StringIO(), False), (io.StringIO(), True)):
        monkeypatch.setattr(sys, "stderr", stream)
        open_progress(quiet=quiet).tell("from [red]the cache\x1b[2J")
        expected = "" if quiet else "from [red]the cache\\x1b[2J\n"
        assert stream.getvalue() == expected
