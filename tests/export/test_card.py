"""A model card says what the file and the reports say, and says so where they say nothing."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.card import write_card
from infer.engine import read_manifest
from infer.errors import UnknownChoiceError
from tests.infer.tiny_model import write_tiny_model
from train.paths import report_folder


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_tiny_model(tmp_path / "tiny.onnx")


def reports(model):
    """What `evaluate` and `compare` would have written of it."""
    manifest = read_manifest(model)
    numbers = report_folder(manifest.study, "evaluate") / f"{manifest.method}.json"
    numbers.parent.mkdir(parents=True)
    numbers.write_text(json.dumps({"auroc": 0.9, "auroc_low": 0.81, "auroc_high": 0.96}))
    lines = ["method,auroc,fit_seconds", f"{manifest.method},0.9,12.0", "mean_image,0.75,"]
    report_folder(manifest.study, "compare.csv").write_text("\n".join(lines))


def test_numbers_intervals_and_baselines_are_those_of_the_reports(model):
    reports(model)
    text = write_card(model, Path("card.md")).read_text()
    assert "| auroc | 0.900 | 0.810 to 0.960 |" in text
    assert "| mean_image | 0.750 |" in text
    assert "12.0" not in text


def test_what_is_not_known_is_said(model):
    text = write_card(model, Path("card.md")).read_text()
    assert text.count("Not known here") == 2


def test_thresholds_and_origin_are_those_of_the_file(model):
    manifest = read_manifest(model)
    text = write_card(model, Path("card.md")).read_text()
    assert manifest.score_threshold.chosen_by in text
    assert manifest.provenance.data_hash in text
    assert "not a medical device" in text


class Page(HTMLParser):
    """Its tags, and the addresses that it asks for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.asked, self.cells = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.asked += [value for name, value in attrs if name in ("src", "href")]
        self.cells += tag == "td"
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_asks_for_nothing_and_says_the_same(model):
    reports(model)
    page = Page(write_card(model, Path("card.html")).read_text())
    assert page.open == []
    assert page.asked == []
    rows = [it for it in write_card(model, Path("card.md")).read_text().splitlines() if "| " in it]
    assert page.cells > len(rows)


def test_another_ending_is_refused(model):
    with pytest.raises(UnknownChoiceError, match=r"a card is \.md or \.html, not \.pdf"):
        write_card(model, Path("card.pdf"))


def test_the_command_writes_it_beside_the_model(model):
    done = CliRunner().invoke(app, ["card", str(model)])
    assert done.exit_code == 0, done.output
    assert model.with_suffix(".md").read_text().startswith("# Model card: ")
