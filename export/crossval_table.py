"""The cross validation as tables: every result, mean ± std with intervals, and tests.

folds.csv     method,protocol,grouped,recipe,repeat,fold,metric,value
crossval.csv  method,protocol,grouped,recipe,metric,mean,std,low,high,results
tests.csv     protocol,grouped,metric,first,second,difference,t,p
"""

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from export.fold_bootstrap import FoldScores, intervals
from export.fold_result import DIGITS, FoldResult, HalfResult
from export.resampled_test import corrected_t_test
from train.metrics import Bootstrap, Interval

SHIPPED = "shipped"


class Value(NamedTuple):
    """One line of folds.csv."""

    method: str
    protocol: str
    grouped: bool
    recipe: str
    repeat: int  # which half of the abnormals was tested
    fold: int
    metric: str
    value: float


class Summary(NamedTuple):
    """One line of crossval.csv."""

    method: str
    protocol: str
    grouped: bool
    recipe: str
    metric: str
    mean: float
    std: float  # of the results, with one degree of freedom taken; 0 of a single one
    low: float | None  # None: no interval was asked for
    high: float | None
    results: int


class Compared(NamedTuple):
    """One line of tests.csv."""

    protocol: str
    grouped: bool
    metric: str
    first: str
    second: str
    difference: float
    t: float
    p: float


class _Row(NamedTuple):
    """What a row of the table is of."""

    method: str
    protocol: str
    grouped: bool
    recipe: str


def values_of(results: Iterable[FoldResult]) -> list[Value]:
    """Every metric of every test."""
    found = []
    for result in results:
        for test in result.tests:
            shipped = test.metrics()
            if result.fit_seconds is not None:
                shipped["fit_seconds"] = result.fit_seconds
            recipes = {SHIPPED: shipped} | {
                name: _ranking(test, np.array(scores)) for name, scores in test.other_scores.items()
            }
            found += [
                Value(
                    result.method,
                    test.protocol,
                    result.grouped,
                    recipe,
                    test.half,
                    result.fold,
                    metric,
                    value,
                )
                for recipe, metrics in recipes.items()
                for metric, value in metrics.items()
            ]
    return found


def summaries_of(
    results: Sequence[FoldResult], values: Sequence[Value], config: Bootstrap
) -> list[Summary]:
    """Mean, std and interval of every row's metrics; AUROC within a fold, then averaged."""
    by_row: dict[_Row, dict[str, list[float]]] = {}
    for value in values:
        row = by_row.setdefault(_Row(*value[:4]), {})
        row.setdefault(value.metric, []).append(value.value)
    bounds = {row: _intervals(results, row, config) for row in by_row}
    return [
        Summary(
            *row,
            metric,
            float(np.mean(numbers)),
            float(np.std(numbers, ddof=1)) if len(numbers) > 1 else 0.0,
            None if (bound := bounds[row].get(metric)) is None else bound.low,
            None if bound is None else bound.high,
            len(numbers),
        )
        for row, metrics in by_row.items()
        for metric, numbers in metrics.items()
    ]


def tests_of(values: Sequence[Value], *, metric: str, test_to_train: float) -> list[Compared]:
    """Every pair of methods with results on the same folds, shipped recipe against shipped."""
    by_row: dict[_Row, dict[tuple[int, int], float]] = {}
    for it in values:
        if it.metric == metric and it.recipe == SHIPPED:
            by_row.setdefault(_Row(*it[:4]), {})[it.repeat, it.fold] = it.value
    found = []
    for (one, first), (other, second) in combinations(by_row.items(), 2):
        if one[1:] != other[1:] or first.keys() != second.keys() or len(first) < 2:
            continue
        pairs = [first[at] for at in sorted(first)], [second[at] for at in sorted(first)]
        tested = corrected_t_test(*pairs, test_to_train=test_to_train)
        found.append(Compared(one.protocol, one.grouped, metric, one.method, other.method, *tested))
    return found


def to_csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """Numbers in as many digits as they deserve, true and false in small letters."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(it) for it in line] for line in lines)
    return text.getvalue()


def _ranking(test: HalfResult, scores: np.ndarray) -> dict[str, float]:
    """What needs no threshold: recipes that are not shipped have none."""
    if test.abnormal.all() or not test.abnormal.any():
        return {}
    return {
        "auroc": float(roc_auc_score(test.abnormal, scores)),
        "average_precision": float(average_precision_score(test.abnormal, scores)),
    }


def _intervals(results: Sequence[FoldResult], row: _Row, config: Bootstrap) -> dict[str, Interval]:
    folds = [
        FoldScores(
            groups=test.groups,
            abnormal=test.abnormal,
            scores=test.scores
            if row.recipe == SHIPPED
            else np.array(test.other_scores[row.recipe]),
            anomalous=test.anomalous,
        )
        for result in results
        if (result.method, result.grouped) == (row.method, row.grouped)
        for test in result.tests
        if test.protocol == row.protocol
        and (row.recipe == SHIPPED or row.recipe in test.other_scores)
    ]
    return intervals(folds, config)


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else value
