"""What a publication reports stands beside ours, as it is printed there."""

from dataclasses import replace
from pathlib import Path

import pytest

from export.crossval_published import check_published, table
from export.crossval_table import Summary
from export.stages.crossval import crossval
from tests.export import fold_results
from tests.export.stages.test_crossval import OPTIONS
from tests.export.test_crossval_text import table as page
from train.params import BadParamsError, Params, load
from train.protocol import CrossvalConfig

ROOT = Path(__file__).parents[2]
PARAMS = load(ROOT / "studies/head_ct/params.yaml")
OURS = [
    Summary("cae", "study", False, "shipped", "auroc", 0.9, 0.04, None, None, 10),
    Summary("cae", "study", False, "shipped", "specificity", 0.7, 0.1, None, None, 10),
    Summary("cae", "study", False, "mean_square", "auroc", 0.8, 0.05, None, None, 10),
    Summary("dae", "study", False, "shipped", "auroc", 0.95, 0.03, None, None, 10),
]
HEADING = "### Beside the published figures"


def test_a_method_has_a_row_of_ours_and_a_row_as_published():
    published = {"cae": {"auroc": (0.78, 0.09), "f1": (0.84, 0.02)}}
    assert table(published, OURS) == [
        "| method |  | auroc | f1 |",
        "|---|---|---|---|",
        "| **cae** | here | 0.900 ± 0.040 |  |",
        "|  | published | 0.780 ± 0.090 | 0.840 ± 0.020 |",
    ]


def test_a_method_without_results_here_has_no_rows():
    assert table({"ssae": {"auroc": (0.81, 0.08)}}, OURS) == []


def test_only_the_published_protocol_and_grouping_have_such_a_table():
    cae = fold_results.many("cae", 0.5)
    grouped = [replace(it, grouped=True) for it in cae]
    published = {"cae": {"auroc": (0.78, 0.09)}}
    text = page(cae, grouped, published=published)
    assert text.count(HEADING) == 1
    assert text.index(HEADING) < text.index("## `study`, groups")
    assert HEADING not in page(grouped, published=published)
    assert HEADING not in page(cae)


@pytest.mark.parametrize(
    ("published", "said", "hint"),
    [
        ({"caee": {"auroc": (0.7, 0.1)}}, "names caee, which is no method", "did you mean cae?"),
        ({"cae": {"auc": (0.7, 0.1)}}, "names auc, which is no metric", "auroc"),
    ],
    ids=["method", "metric"],
)
def test_what_is_not_known_is_refused_with_a_suggestion(published, said, hint):
    with pytest.raises(BadParamsError, match=said) as refused:
        check_published(published)
    assert hint in refused.value.hint


def test_it_is_refused_before_anything_is_read_or_fitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = {**PARAMS.values["crossval"], "published": {"cae": {"auc": [0.7, 0.1]}}}
    with pytest.raises(BadParamsError, match="auc"):
        crossval(Params("params.yaml", {**PARAMS.values, "crossval": block}), OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_the_head_ct_study_shows_what_its_slides_report():
    published = PARAMS.block(CrossvalConfig, "crossval").published
    check_published(published)
    assert published["cae"]["auroc"] == (0.78, 0.09)
    assert published["ssae"]["precision"] == (0.84, 0.03)
    assert published["fanogan"]["f1"] == (0.91, 0.01)
