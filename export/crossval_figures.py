"""Curves of a cross validation, without any scan's pixels: histograms, ROC, F1, training.

Scores of different folds are of different models. They are drawn in standard deviations of the
fold's test normals, from the shipped threshold at 0.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from export.figures import ABNORMAL, HISTOGRAM_BINS, NORMAL
from export.fold_result import FoldResult, HalfResult
from train.plots import marker_of

RATES = np.linspace(0, 1, 101)  # false-positive rates at which ROC curves are averaged
RANGE = (-4.0, 8.0)  # standard deviations that are shown; scores beyond are drawn at the border
COLUMNS = 3


def tests_by_method(
    results: Sequence[FoldResult], protocol: str, *, grouped: bool
) -> dict[str, list[HalfResult]]:
    """The tests of each method under one protocol and grouping."""
    found: dict[str, list[HalfResult]] = {}
    for result in results:
        if result.grouped == grouped:
            own = [it for it in result.tests if it.protocol == protocol]
            found.setdefault(result.method, []).extend(own)
    return {name: tests for name, tests in found.items() if tests}


def score_histograms(tests: Mapping[str, Sequence[HalfResult]]) -> Figure:
    """Test scores of normal and abnormal scans, one plot per method."""
    figure, places = _plots(len(tests))
    edges = np.linspace(*RANGE, HISTOGRAM_BINS + 1).tolist()
    for place, (name, own) in zip(places, tests.items(), strict=True):
        axes = figure.add_subplot(*place)
        for abnormal, colour, label in ((False, NORMAL, "normal"), (True, ABNORMAL, "abnormal")):
            scores = [_from_threshold(it)[it.abnormal == abnormal] for it in own]
            shown = np.clip(np.concatenate(scores), *RANGE)
            axes.hist(shown, edges, alpha=0.65, color=colour, label=label)
        axes.axvline(0, color="black", linewidth=1, label="threshold")
        axes.set(title=name, xlabel="score, σ of normals from the threshold", ylabel="test scans")
    figure.axes[0].legend(fontsize="small", loc="upper right")
    return figure


def roc_curves(tests: Mapping[str, Sequence[HalfResult]], trivial: set[str]) -> Figure:
    """Mean ROC of the folds; trivial baselines dashed."""
    figure = Figure(figsize=(8.5, 4.8), layout="constrained")
    axes = figure.add_subplot()
    for name, own in tests.items():
        curves = []
        for it in own:
            false_positive, true_positive, _ = roc_curve(it.abnormal, it.scores)
            curves.append(np.interp(RATES, false_positive, true_positive))
        area = np.mean([it.metrics()["auroc"] for it in own])
        style = "--" if name in trivial else "-"
        axes.plot(RATES, np.mean(curves, axis=0), style, label=f"{name}  {area:.3f}")
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.6)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    figure.legend(loc="outside right upper", fontsize="small", title="mean AUROC")
    return figure


def f1_over_threshold(tests: Mapping[str, Sequence[HalfResult]]) -> Figure:
    """Test F1 for thresholds around the shipped one, each fold thin, their mean thick."""
    figure, places = _plots(len(tests))
    thresholds = np.linspace(*RANGE, 121)
    for place, (name, own) in zip(places, tests.items(), strict=True):
        axes = figure.add_subplot(*place)
        curves = [_f1(_from_threshold(it), it.abnormal, thresholds) for it in own]
        for curve in curves:
            axes.plot(thresholds, curve, color="grey", linewidth=0.4)
        axes.plot(thresholds, np.mean(curves, axis=0), linewidth=2)
        axes.axvline(0, color="black", linewidth=1)
        axes.set(title=name, xlabel="threshold, σ of normals from the shipped", ylabel="F1")
    return figure


def training_curves(results: Sequence[FoldResult], method: str, *, grouped: bool) -> Figure:
    """Losses, and validation AUROC, of every fold."""
    own = [it for it in results if (it.method, it.grouped) == (method, grouped)]
    names = dict.fromkeys(name for it in own for name in it.history)
    areas = [name for name in names if "auroc" in name]
    losses = [name for name in names if "loss" in name]
    figure = Figure(figsize=(11, 4), layout="constrained")
    figure.suptitle(method)
    for place, (title, chosen) in enumerate({"loss": losses, "AUROC": areas}.items()):
        axes = figure.add_subplot(1, 2, place + 1)
        for number, name in enumerate(chosen):
            for result in own:
                if points := result.history.get(name):
                    label = name if result is own[0] else None
                    style = f"C{number % 10}{marker_of(points)}"
                    axes.plot(*zip(*points, strict=True), style, linewidth=0.8, label=label)
        axes.set(title=title, xlabel="record")
        axes.grid(alpha=0.3)
        if chosen:
            # Where curves seldom are. To look for the best place takes seconds, and a warning.
            rising = title == "AUROC"
            axes.legend(fontsize="x-small", loc="lower right" if rising else "upper right")
    return figure


def _plots(count: int) -> tuple[Figure, list[tuple[int, int, int]]]:
    columns = min(COLUMNS, count)
    lines = -(-count // columns)
    figure = Figure(figsize=(4.2 * columns, 2.8 * lines), layout="constrained")
    return figure, [(lines, columns, at + 1) for at in range(count)]


def _from_threshold(test: HalfResult) -> np.ndarray:
    spread = float(test.scores[~test.abnormal].std()) or 1.0
    return np.asarray((test.scores - test.score_threshold) / spread)


def _f1(scores: np.ndarray, abnormal: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    above = scores > thresholds[:, np.newaxis]
    hit, alarm = (above & abnormal).sum(axis=1), (above & ~abnormal).sum(axis=1)
    return np.asarray(2 * hit / np.maximum(hit + alarm + abnormal.sum(), 1))
