"""A model card says what the file and the reports say, and says so where they say nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.card import write_card
from infer.engine import read_manifest
from infer.errors import UnknownChoiceError
from infer.manifest import Recalibration, Threshold
from tests.export.pages import Page, rendered
from tests.infer.tiny_model import MANIFEST, VARIANT, write_tiny_model
from train.paths import report_folder

NUMBERS = {
    "auroc": 0.9,
    "auroc_low": 0.81,
    "auroc_high": 0.96,
    "score_threshold": 0.45,  # as in the file
    "map_threshold": 0.3,
    "scans_normal": 7,
    "scans_abnormal": 5,
}
LINES = ("method,auroc,fit_seconds", "blur,0.9,12.0", "mean_image,0.75,", "random,,")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def evaluated(name="blur", without=(), **changed):
    """What `evaluate` would have written of the file, or of one that differs as told."""
    path = report_folder("tiny", "evaluate") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {it: value for it, value in (NUMBERS | changed).items() if it not in without}
    path.write_text(json.dumps(found))
    return path


def compared(*lines):
    path = report_folder("tiny", "compare.csv")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def card_of(manifest=MANIFEST):
    """Its headings, sentences and rows."""
    model = write_tiny_model(Path("tiny.onnx"), manifest)
    return rendered(write_card(model, Path("card.md")).read_text()).seen


def below(title, card):
    """The sentences and rows of a section."""
    begin = card.index(("h2", title)) + 1
    end = next((at for at in range(begin, len(card)) if card[at][0] == "h2"), len(card))
    sentences = " ".join(text for tag, text in card[begin:end] if tag == "p")
    return sentences, [cells for tag, cells in card[begin:end] if tag == "tr"]


def of_method(method, **members):
    made = replace(MANIFEST.provenance, members=members)
    return replace(MANIFEST, method=method, provenance=made)


def recalibrated(manifest=MANIFEST):
    """At a site, where both thresholds are other ones."""
    entry = Recalibration(
        original_sha256="ab" * 32,
        scans=20,
        scans_sha256="cd" * 32,
        made="2026-01-01T00:00:00+00:00",
        score_threshold=manifest.score_threshold,
        map_threshold=manifest.map_threshold,
        normals=4,
    )
    own = {"score_threshold": Threshold(value=0.8, chosen_by="the site's normals")}
    return replace(manifest, **own, recalibrated=(entry,))


def test_numbers_intervals_and_scans_are_those_of_the_report():
    path = evaluated()
    said, rows = below("What it reached", card_of())
    assert said == f"On 7 normal and 5 abnormal test scans of study tiny, as {path} has them."
    assert rows == [
        ("metric", "value", "interval over groups"),
        ("auroc", "0.900", "0.810 to 0.960"),
    ]


def test_baselines_are_those_of_the_comparison_and_no_model_is_among_them():
    evaluated()
    compared(*LINES)
    assert below("Beside trivial baselines", card_of()) == (
        "",
        [("baseline", "auroc"), ("mean_image", "0.750"), ("random", "not known")],
    )


def test_reports_that_are_not_there_are_said_not_to_be():
    card = card_of()
    for title in ("What it reached", "Beside trivial baselines"):
        said, rows = below(title, card)
        assert said.startswith("Not known here: there is no reports/tiny/")
        assert rows == []


def test_a_comparison_without_baselines_is_said_to_be_that():
    compared(*LINES[:2])
    said, rows = below("Beside trivial baselines", card_of())
    assert said == "Not known here: reports/tiny/compare.csv has no baselines."
    assert rows == []


@pytest.mark.parametrize(
    ("row", "reported"),
    [
        ("blur,0.8,12.0", {}),  # as an earlier fit was compared
        ("cae,0.9,12.0", {}),  # of other methods only
        ("blur,0.9,12.0", {"score_threshold": 0.31}),  # what was evaluated is another file
    ],
)
def test_baselines_beside_another_model_s_test_are_not_shown(row, reported):
    evaluated(**reported)
    compared(LINES[0], row, *LINES[2:])
    said, rows = below("Beside trivial baselines", card_of())
    assert "has no row of blur as it was evaluated" in said
    assert rows == []


def test_baselines_are_not_shown_where_nothing_was_evaluated():
    compared(*LINES)
    said, rows = below("Beside trivial baselines", card_of())
    assert said.startswith("Not known here")
    assert rows == []


@pytest.mark.parametrize("threshold", ["score_threshold", "map_threshold"])
def test_numbers_of_another_export_are_not_shown(threshold):
    evaluated(**{threshold: 0.31})
    said, rows = below("What it reached", card_of())
    assert "is of another export" in said
    assert rows == []


def test_numbers_that_tell_no_threshold_are_not_shown():
    evaluated(without=["score_threshold"])
    said, rows = below("What it reached", card_of())
    assert "(score threshold not told, this file's is 0.45)" in said
    assert rows == []


def test_a_threshold_is_known_again_though_the_report_rounds_it():
    evaluated(score_threshold=0.123457)
    exact = replace(MANIFEST, score_threshold=Threshold(value=0.1234567, chosen_by="eye"))
    assert below("What it reached", card_of(exact))[1] != []


def test_small_thresholds_are_told_apart():
    evaluated(score_threshold=3.7e-7)
    for value, rows in ((3.7e-7, True), (1.2e-7, False)):
        exact = replace(MANIFEST, score_threshold=Threshold(value=value, chosen_by="eye"))
        assert (below("What it reached", card_of(exact))[1] != []) == rows


def test_a_recalibrated_file_has_the_numbers_of_the_file_that_it_was_made_of():
    evaluated()
    said, rows = below("What it reached", card_of(recalibrated()))
    assert "those of the file that this one was recalibrated from" in said
    assert ("auroc", "0.900", "0.810 to 0.960") in rows
    evaluated(score_threshold=0.31)
    said, rows = below("What it reached", card_of(recalibrated()))
    assert "is of another export" in said
    assert rows == []


def test_a_recalibrated_file_that_was_evaluated_itself_has_its_own_numbers():
    evaluated(score_threshold=0.8)
    said, rows = below("What it reached", card_of(recalibrated()))
    assert "recalibrated from" not in said
    assert rows != []


def test_a_variant_has_the_numbers_of_its_own_report_and_no_others():
    variant = replace(MANIFEST, variant=VARIANT)
    evaluated()
    said, rows = below("What it reached", card_of(variant))
    assert "there is no reports/tiny/evaluate/blur.int8.json" in said
    assert rows == []
    evaluated("blur.int8", auroc=0.88)
    said, rows = below("What it reached", card_of(variant))
    assert "as reports/tiny/evaluate/blur.int8.json has them" in said
    assert ("auroc", "0.880", "0.810 to 0.960") in rows


def test_what_a_report_lacks_is_not_known():
    evaluated(without=["auroc_low", "scans_normal"])
    said, rows = below("What it reached", card_of())
    assert "On an unknown number of normal and 5 abnormal test scans" in said
    assert ("auroc", "0.900", "not known") in rows


def test_a_test_of_one_class_gives_no_numbers():
    evaluated(without=["auroc"], scans_abnormal=0)
    said, rows = below("What it reached", card_of())
    assert said.endswith("tells nothing of 7 normal and 0 abnormal test scans of study tiny.")
    assert rows == []


def test_a_damaged_report_is_said_to_be_that():
    path = evaluated()
    path.write_text(path.read_text()[:-9])
    said, rows = below("What it reached", card_of())
    assert "blur.json is damaged" in said
    assert rows == []


@pytest.mark.parametrize("manifest", [of_method("cae"), of_method("both", cae="r", fanogan="r")])
def test_what_healthy_scans_alone_taught_marks_what_differs_from_them(manifest):
    said, _ = below("Intended use and limits", card_of(manifest))
    assert "differs from the healthy scans that it was fitted to" in said


@pytest.mark.parametrize(
    "manifest", [of_method("densenet"), of_method("both", cae="r", densenet="r")]
)
def test_what_learned_from_labels_is_not_called_fitted_to_healthy_scans(manifest):
    said, _ = below("Intended use and limits", card_of(manifest))
    assert "learned from labelled scans, normal and abnormal ones" in said
    assert "healthy scans" not in said


@pytest.mark.parametrize(
    ("manifest", "warned"),
    [
        (of_method("neighbours"), True),
        (of_method("both", cae="r", neighbours="r"), True),
        (of_method("cae"), False),
    ],
)
def test_it_says_so_if_scans_can_be_redrawn_from_the_file(manifest, warned):
    said, _ = below("Intended use and limits", card_of(manifest))
    assert ("scans, which can be redrawn from this file" in said) == warned


def test_of_a_method_that_is_not_known_here_neither_is_claimed():
    said, _ = below("Intended use and limits", card_of(of_method("both")))
    assert "What it was fitted to is not known here (both is no method" in said
    assert "healthy scans" not in said
    assert "labelled" not in said


def test_thresholds_and_origin_are_those_of_the_file():
    manifest = read_manifest(write_tiny_model(Path("tiny.onnx")))
    card = card_of()
    assert ("tr", ("chosen by", manifest.score_threshold.chosen_by)) in card
    assert ("tr", ("data", manifest.provenance.data_hash)) in card
    assert "not a medical device" in below("Intended use and limits", card)[0]


def test_whether_it_was_recalibrated_or_reduced_is_always_said():
    origin = "Where it comes from"
    rows = dict(below(origin, card_of())[1])
    assert rows["recalibrated"] == "no"
    assert rows["variant"] == "none: it computes in fp32"
    rows = dict(below(origin, card_of(recalibrated(replace(MANIFEST, variant=VARIANT))))[1])
    assert "on 20 normal scans of the site" in rows["recalibrated"]
    assert rows["variant"].startswith("in int8, of file abababababab")


def test_the_page_says_the_same_word_by_word():
    evaluated("densenet.int8")
    compared(*LINES)
    awkward = Threshold(value=0.3, chosen_by="best F1 | of <b>two</b>,\nby eye & `hand`")
    card = card_of(replace(MANIFEST, method="densenet", map_threshold=awkward, variant=VARIANT))
    page = write_card(Path("tiny.onnx"), Path("card.html")).read_text()
    assert Page(page).seen == card
    assert ("tr", ("chosen by", awkward.chosen_by)) in card
    assert [text for tag, text in card if tag == "p" and "`" in text] == []


def test_another_ending_is_refused():
    model = write_tiny_model(Path("tiny.onnx"))
    with pytest.raises(UnknownChoiceError, match=r"a card is \.md or \.html, not \.pdf"):
        write_card(model, Path("card.pdf"))


def test_the_command_writes_it_beside_the_model():
    model = write_tiny_model(Path("tiny.onnx"))
    done = CliRunner().invoke(app, ["card", str(model)])
    assert done.exit_code == 0, done.output
    assert model.with_suffix(".md").read_text().startswith("# Model card: ")
