"""The tables of a cross validation, against means made by hand."""

import csv
import io

import numpy as np
import pytest

from export import crossval_table
from tests.export import fold_results
from train.metrics import Bootstrap

CONFIG = Bootstrap(resamples=20, confidence=0.9, seed=0)
# AUROC 1, 8/9, 7/9 and 6/9.
AREAS = [
    [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    [0.1, 0.2, 0.4, 0.3, 0.5, 0.6],
    [0.1, 0.2, 0.5, 0.3, 0.4, 0.6],
    [0.1, 0.2, 0.7, 0.3, 0.4, 0.6],
]


@pytest.fixture
def results():
    return [
        fold_results.fold(
            number=number,
            tests=[
                fold_results.half_result(
                    half=half, scores=AREAS[2 * number + half], names=f"{number}{half}"
                )
                for half in (0, 1)
            ],
        )
        for number in (0, 1)
    ]


def summary(results, metric):
    values = crossval_table.values_of(results)
    found = crossval_table.summaries_of(results, values, CONFIG)
    (one,) = (it for it in found if it.metric == metric and it.recipe == "shipped")
    return one


def test_an_area_is_of_each_fold_and_then_averaged(results):
    one = summary(results, "auroc")
    areas = np.array([9, 8, 7, 6]) / 9
    assert one.mean == pytest.approx(areas.mean())
    assert one.std == pytest.approx(areas.std(ddof=1))
    assert one.results == 4
    assert one.low <= one.mean <= one.high


def test_what_has_no_interval_says_so(results):
    one = summary(results, "fit_seconds")
    assert (one.mean, one.low, one.high) == (2.0, None, None)


def test_every_recipe_has_rows_of_what_needs_no_threshold():
    other = {"reversed": tuple(float(-at) for at in range(6))}
    tests = [fold_results.half_result(scores=AREAS[0], other=other)]
    values = crossval_table.values_of([fold_results.fold(tests=tests)])
    found = {it.metric: it.value for it in values if it.recipe == "reversed"}
    assert found.keys() == {"auroc", "average_precision"}
    assert found["auroc"] == 0


def test_the_columns_are_those_promised_and_truth_is_in_small_letters(results):
    values = crossval_table.values_of(results)
    text = crossval_table.to_csv(crossval_table.Value._fields, values)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.splitlines()[0] == "method,protocol,grouped,recipe,repeat,fold,metric,value"
    assert (
        ",".join(crossval_table.Summary._fields)
        == "method,protocol,grouped,recipe,metric,mean,std,low,high,results"
    )
    assert {row["grouped"] for row in rows} == {"false"}
    assert "auroc" in {row["metric"] for row in rows}
    assert all(row["metric"] == row["metric"].lower() for row in rows)
    assert {(row["repeat"], row["fold"]) for row in rows} == {
        (half, fold) for half in "01" for fold in "01"
    }


def test_every_pair_with_results_on_the_same_folds_is_compared():
    results = [
        *fold_results.many("cae", 1.0),
        *fold_results.many("dae", 2.0),
        *fold_results.many("vae", 0.5)[:1],
    ]
    found = crossval_table.tests_of(
        crossval_table.values_of(results), metric="auroc", test_to_train=0.5
    )
    assert [(it.first, it.second) for it in found] == [("cae", "dae")]
