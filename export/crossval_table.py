"""The cross validation as tables: every result, mean ± std with intervals, tests, and in words.

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
SHOWN = ("auroc", "accuracy", "recall", "precision", "f1", "specificity", "psnr", "ssim")
SIGNIFICANT = 0.05


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
    std: float  # of the results, with one degree of freedom taken
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


def to_markdown(
    results: Sequence[FoldResult],
    summaries: Sequence[Summary],
    tests: Sequence[Compared],
    *,
    study: str,
    config: Bootstrap,
) -> str:
    """One table for each protocol and grouping, what it shows, and how to read it."""
    trivial = {it.method for it in results if it.trivial}
    lines = [
        f"# Study {study}: 2×5 cross validation",
        "",
        f"Mean ± std over the results of all folds and both halves of the abnormals; in brackets "
        f"the {config.confidence:.0%} interval of {config.resamples} bootstrap resamples of the "
        f"groups of near-duplicates.",
    ]
    for protocol, grouped in dict.fromkeys((it.protocol, it.grouped) for it in summaries):
        own = [it for it in summaries if (it.protocol, it.grouped) == (protocol, grouped)]
        lines += ["", f"## `{protocol}`, {_grouping(grouped)}", "", *_table(own, trivial)]
        lines += ["", *(f"- {it}" for it in verdicts(own, tests, trivial))]
    lines += ["", "## Every score recipe: AUROC", "", *_recipes(summaries)]
    lines += ["", "## How to read it", "", *(f"- {it}" for it in _notes())]
    lines += ["", "Made by " + ", ".join(_origins(results)) + ".", ""]
    return "\n".join(lines)


def verdicts(
    summaries: Sequence[Summary], tests: Sequence[Compared], trivial: set[str]
) -> list[str]:
    """For each method whether it beats the strongest trivial baseline, and what it is beaten by."""
    areas = {it.method: it for it in summaries if it.metric == "auroc" and it.recipe == SHIPPED}
    baselines = [it for name, it in areas.items() if name in trivial]
    if not baselines:
        return []
    strongest = max(baselines, key=lambda it: it.mean)
    sentences = []
    for name, own in areas.items():
        if name in trivial:
            continue
        said = f"{name} (AUROC {own.mean:.3f})"
        best = f"{strongest.method} ({strongest.mean:.3f})"
        p = _p_of(tests, own, strongest.method)
        beaten = own.mean <= strongest.mean
        clear = p is not None and p < SIGNIFICANT
        how = "" if p is None else f" (p = {p:.2g})"
        if beaten:
            sentences.append(f"**{said} is no better than the trivial {best}{how}.**")
        elif clear:
            sentences.append(f"{said} is ahead of every trivial baseline; the best is {best}{how}.")
        else:
            sentences.append(
                f"{said} is ahead of the best trivial baseline, {best}, but not clearly{how}."
            )
    return sentences


def _p_of(tests: Sequence[Compared], own: Summary, other: str) -> float | None:
    for it in tests:
        if (it.protocol, it.grouped) == (own.protocol, own.grouped) and {it.first, it.second} == {
            own.method,
            other,
        }:
            return it.p
    return None


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


def _table(summaries: Sequence[Summary], trivial: set[str]) -> list[str]:
    rows: dict[str, dict[str, Summary]] = {}
    for it in summaries:
        if it.recipe == SHIPPED:
            rows.setdefault(it.method, {})[it.metric] = it
    shown = [name for name in SHOWN if any(name in row for row in rows.values())]
    falling = sorted(rows, key=lambda name: -rows[name]["auroc"].mean)
    return [
        "| " + " | ".join(["method", *shown, "fit seconds"]) + " |",
        "|---" * (len(shown) + 2) + "|",
        *(
            "| "
            + " | ".join(
                [
                    f"*{name}*" if name in trivial else f"**{name}**",
                    *(_mean(rows[name].get(it), bounds=it == "auroc") for it in shown),
                    f"{rows[name]['fit_seconds'].mean:.0f}" if "fit_seconds" in rows[name] else "",
                ]
            )
            + " |"
            for name in falling
        ),
    ]


def _recipes(summaries: Sequence[Summary]) -> list[str]:
    own = [it for it in summaries if it.metric == "auroc" and it.recipe != SHIPPED]
    columns = dict.fromkeys((it.method, it.protocol, it.grouped) for it in own)
    cells = {(it.recipe, it.method, it.protocol, it.grouped): it for it in own}
    heads = [f"{m}, {p}{', grouped' if g else ''}" for m, p, g in columns]
    return [
        "| " + " | ".join(["recipe", *heads]) + " |",
        "|---" * (len(heads) + 1) + "|",
        *(
            "| " + " | ".join([recipe, *(_mean(cells.get((recipe, *it))) for it in columns)]) + " |"
            for recipe in dict.fromkeys(it.recipe for it in own)
        ),
    ]


def _mean(summary: Summary | None, *, bounds: bool = False) -> str:
    if summary is None:
        return ""
    digits = 1 if summary.metric == "psnr" else 3
    text = f"{summary.mean:.{digits}f} ± {summary.std:.{digits}f}"
    if bounds and summary.low is not None:
        text += f" [{summary.low:.2f}, {summary.high:.2f}]"
    return text


def _grouping(grouped: bool) -> str:
    return "near-duplicates kept together" if grouped else "as published (every slice by itself)"


def _notes() -> list[str]:
    return [
        "`study`: checkpoint and score recipe by validation AUROC, threshold by validation F1, all "
        "within the fold. `blind`: no abnormal image is seen before the test; the recipe is fixed "
        "beforehand, the threshold is at a fixed false-positive rate on validation normals.",
        "both halves of the abnormals share the fit of a fold: ten results of five fits.",
        "rows in italics are trivial baselines, on images in [0, 1].",
        "p is of a corrected resampled t-test (Nadeau & Bengio, 2003); all pairs are in tests.csv.",
        "rows of score recipes that were not shipped are for reading: nothing was chosen by them.",
        "`psnr` (dB) and `ssim` are of the reconstructions of normal test scans.",
    ]


def _origins(results: Sequence[FoldResult]) -> list[str]:
    """Which commits and machines the results come from."""
    said = dict.fromkeys(
        f"commit {str(it.provenance['git_commit'])[:9] or 'unknown'}"
        f"{' (changed)' if it.provenance['git_dirty'] else ''} on {it.provenance['machine']}"
        for it in results
    )
    return list(said)


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else value
