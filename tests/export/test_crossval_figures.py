"""Curves of a cross validation against what is counted by hand."""

from dataclasses import replace

import numpy as np
import pytest

from export import crossval_figures
from tests.export import fold_results

# Three normal scans, of which one is above 0.5, and three abnormal ones, of which two are.
SCORES = [0.1, 0.2, 0.6, 0.4, 0.7, 0.9]
F1 = 2 * 2 / (2 * 2 + 1 + 1)
TESTS = {"cae": [fold_results.half_result(half=half, scores=SCORES) for half in (0, 1)]}


def test_results_are_told_apart_by_protocol_and_grouping():
    results = [
        fold_results.fold(
            method=f"{protocol} {grouped}",
            grouped=grouped,
            tests=[fold_results.half_result(protocol=protocol, scores=SCORES)],
        )
        for protocol in ("study", "blind")
        for grouped in (False, True)
    ]
    found = crossval_figures.tests_by_method(results, "blind", grouped=True)
    assert {name: len(own) for name, own in found.items()} == {"blind True": 1}


def test_at_the_shipped_threshold_f1_is_what_the_table_says():
    (axes,) = crossval_figures.f1_over_threshold(TESTS).axes
    *each, mean, shipped = axes.get_lines()
    assert len(each) == 2
    assert set(shipped.get_xdata()) == {0}
    for line in (*each, mean):
        at = int(np.argmin(np.abs(line.get_xdata())))
        assert line.get_ydata()[at] == pytest.approx(F1)
    assert TESTS["cae"][0].metrics()["f1"] == pytest.approx(F1)
    # Below all scores everything is called anomalous: precision a half, recall 1.
    assert mean.get_ydata()[0] == pytest.approx(2 / 3)
    assert mean.get_ydata()[-1] == 0  # above all of them, nothing is


def test_histograms_hold_every_scan_on_its_side_of_the_threshold():
    (axes,) = crossval_figures.score_histograms(TESTS).axes
    bars = {own[0].get_label(): own for own in axes.containers}
    counts = {
        name: (
            sum(it.get_height() for it in own if it.get_x() + it.get_width() / 2 < 0),
            sum(it.get_height() for it in own if it.get_x() + it.get_width() / 2 > 0),
        )
        for name, own in bars.items()
    }
    assert counts == {"normal": (4, 2), "abnormal": (2, 4)}  # of both halves


def test_curves_of_training_are_those_of_the_folds_losses_and_areas_apart():
    history = {"loss": ((0, 1.0), (4, 0.5)), "validation_auroc_study_0": ((0, 0.6), (4, 0.8))}
    results = [
        replace(fold_results.fold(number=0, tests=[]), history=history),
        fold_results.fold(number=1, tests=[]),
    ]
    losses, areas = crossval_figures.training_curves(results, "cae", grouped=False).axes
    assert [it.get_xydata().tolist() for it in losses.get_lines()] == [
        [[0, 1.0], [4, 0.5]],
        [[0, 1.0], [1, 0.5]],
    ]
    assert [it.get_xydata().tolist() for it in areas.get_lines()] == [[[0, 0.6], [4, 0.8]]]


def test_the_roc_of_a_method_is_the_mean_of_its_tests():
    """Of six scans: nothing found without an alarm but two, all with one alarm of three."""
    figure = crossval_figures.roc_curves(TESTS, trivial=set())
    line = figure.axes[0].get_lines()[0]
    rates, found = line.get_xdata(), line.get_ydata()
    assert found[np.argmin(np.abs(rates - 0.2))] == pytest.approx(2 / 3)
    assert found[np.argmin(np.abs(rates - 0.5))] == pytest.approx(1)
    assert line.get_label().endswith("0.889")  # eight of nine pairs are in order


def test_baselines_are_dashed():
    both = {"cae": TESTS["cae"], "random": TESTS["cae"]}
    axes = crossval_figures.roc_curves(both, trivial={"random"}).axes[0]
    assert [it.get_linestyle() for it in axes.get_lines()[:2]] == ["-", "--"]
