"""A supervised method's row: what its own study measured, and named as what it is."""

import json
from pathlib import Path

import pytest

from export import crossval_beside, crossval_table, crossval_text
from tests.export import fold_results
from train.metrics import Bootstrap
from train.params import BadParamsError

CONFIG = Bootstrap(resamples=20, confidence=0.9, seed=0)
BESIDE = {"densenet": "labelled"}
# As the stage `evaluate` writes it.
MEASURED = {
    "auroc": 0.97,
    "auroc_low": 0.93,
    "auroc_high": 0.99,
    "specificity": 0.9,
    "specificity_low": 0.8,
    "specificity_high": 0.95,
    "score_threshold": 0.4,
    "map_threshold": 0.2,
    "scans_normal": 20,
    "scans_abnormal": 21,
}


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for stage, numbers in (("evaluate", MEASURED), ("fit", {"fit_seconds": 60.0})):
        folder = Path("reports/labelled") / stage
        folder.mkdir(parents=True)
        (folder / "densenet.json").write_text(json.dumps(numbers))
    return crossval_beside.load_beside(BESIDE)


def test_its_lines_are_of_one_result_under_a_protocol_of_its_own(found):
    lines = {it.metric: it for it in crossval_beside.summaries_of(found)}
    assert lines.keys() == {"auroc", "specificity", "fit_seconds"}
    assert lines["auroc"] == crossval_table.Summary(
        "densenet", "supervised", True, "shipped", "auroc", 0.97, 0.0, 0.93, 0.99, 1
    )
    assert lines["fit_seconds"].mean == 60.0


def test_every_line_of_the_table_is_among_the_values(found):
    values = {(it.method, it.metric): it.value for it in crossval_beside.values_of(found)}
    assert values == {(it.method, it.metric): it.mean for it in crossval_beside.summaries_of(found)}


def test_it_stands_apart_and_is_called_supervised(found):
    results = fold_results.many("cae", 0.5)
    values = crossval_table.values_of(results)
    text = crossval_text.to_markdown(
        results,
        crossval_table.summaries_of(results, values, CONFIG) + crossval_beside.summaries_of(found),
        [],
        study="s",
        config=CONFIG,
        folds=2,
        missing=[],
        beside=found,
        published={},
        variants={},
        leaks=[],
    )
    others, own = text.split("## `supervised`")
    assert "densenet" not in others
    assert "| **densenet** | 1 of 1 | 0.970 [0.93, 0.99] |" in own
    assert "trained with abnormal images" in own
    assert "20 normal and 21 abnormal scans" in own


def test_what_has_not_been_measured_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert crossval_beside.load_beside(BESIDE) == []
    assert "densenet of labelled: run `make study STUDY=labelled` first" in capsys.readouterr().out


def test_a_method_that_learns_without_labels_is_refused():
    with pytest.raises(BadParamsError, match="cae, which does not learn from labels"):
        crossval_beside.check_beside({"cae": "labelled"})
