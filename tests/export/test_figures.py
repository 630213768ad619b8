"""Pictures of test scans: each where its outcome belongs, with all that there is to see of it."""

import numpy as np
import pytest

from export import figures
from export.evaluation import Evaluation
from export.panels import TITLES, tiles
from tests.export.test_crossval_report import panels_of_each_outcome

EVALUATION = panels_of_each_outcome("cae")


@pytest.fixture(scope="module")
def outcomes():
    """The plots of the page by their titles."""
    figure = figures.outcomes(EVALUATION, 2)
    return {axes.get_title(): axes for axes in figure.axes}


@pytest.mark.parametrize(
    ("title", "scan"),
    [
        ("true positives", "hit.png"),
        ("false positives", "alarm.png"),
        ("false negatives", "miss.png"),
        ("true negatives", "rejected.png"),
    ],
)
def test_each_scan_is_shown_under_its_outcome_alone(outcomes, title, scan):
    assert [it.get_text().split("\n")[0] for it in outcomes[title].get_xticklabels()] == [scan]


def test_of_each_scan_input_reconstruction_difference_map_and_mask_are_shown(outcomes):
    for axes in outcomes.values():
        labels = [it.get_text().replace("\n", " ") for it in axes.get_yticklabels()]
        assert labels == list(TITLES)
    (shown,) = outcomes["true positives"].get_images()
    expected = tiles(EVALUATION.panels.at(0), map_high=figures.map_high(EVALUATION))
    height = len(expected[0]) + figures.GAP_PX
    for place, tile in enumerate(expected):
        seen = shown.get_array()[place * height :][: len(tile), : tile.shape[1]]
        np.testing.assert_array_equal(seen, tile)


def test_the_surest_come_first():
    """Highest scores of what was found, lowest of what was not."""
    scores = {"a": (False, 0.6), "b": (False, 0.9), "c": (True, 0.2), "d": (True, 0.1)}
    rows = [
        row._replace(
            scan=name, label="normal" if normal else "abnormal", score=it, anomalous=it > 0.5
        )
        for row, (name, (normal, it)) in zip(EVALUATION.rows, scores.items(), strict=True)
    ]
    evaluation = Evaluation(
        name="cae",
        rows=rows,
        metrics={},
        score_threshold=0.5,
        map_threshold=0.5,
        panels=EVALUATION.panels,
    )
    shown = {
        axes.get_title(): [it.get_text()[0] for it in axes.get_xticklabels()]
        for axes in figures.outcomes(evaluation, 2).axes
        if axes.get_images()
    }
    assert shown == {"true positives": ["b", "a"], "true negatives": ["d", "c"]}
