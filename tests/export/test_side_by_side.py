"""The same scans under every model: each has its rows in one of the pictures."""

from itertools import pairwise

import numpy as np
import pytest

from export.evaluation import Evaluation, ScanRow
from export.panels import Panels
from export.side_by_side import MOST_MODELS, pictures

SCANS = ("n0.png", "n1.png", "a0.png", "a1.png")


def model(name, size=8):
    """A model that has seen two normal and two abnormal scans of so many pixels."""
    plane = np.zeros((len(SCANS), size, size), np.float16)
    return Evaluation(
        name=name,
        rows=[
            ScanRow(
                scan=scan,
                group=scan,
                label="normal" if scan.startswith("n") else "abnormal",
                score=0.5,
                anomalous=False,
                normal_percentile=50.0,
                lesions=0,
                mask_px=0,
                truth_px=None,
                overlap_px=None,
                psnr_db=None,
            )
            for scan in SCANS
        ],
        metrics={},
        score_threshold=0.5,
        map_threshold=0.5,
        panels=Panels(
            image=plane[:, None],
            reconstruction=plane[:, None],
            anomaly_map=plane,
            mask=plane > 0,
            truth=plane > 0,
        ),
    )


def models_in(figure):
    """Names beside the rows, from top to bottom."""
    (axes,) = figure.axes
    return list(dict.fromkeys(it.get_text().split("\n")[0] for it in axes.get_yticklabels()))


@pytest.mark.parametrize("count", [1, MOST_MODELS, MOST_MODELS + 1, 10, 2 * MOST_MODELS + 1])
def test_every_model_is_in_one_picture_in_the_order_given(count):
    names = [f"model{at}" for at in range(count, 0, -1)]
    shown = [models_in(it) for it in pictures([model(it) for it in names], 2)]
    assert [name for picture in shown for name in picture if name != "scan"] == names
    assert all(picture[0] == "scan" for picture in shown)
    assert all(len(picture) <= MOST_MODELS + 1 for picture in shown)
    assert all(abs(len(a) - len(b)) <= 2 for a, b in pairwise(shown))


def test_models_of_another_image_size_have_a_picture_of_their_own():
    given = [model("cae"), model("cae+pixels_16", size=16), model("dae")]
    assert [models_in(it) for it in pictures(given, 2)] == [
        ["scan", "cae", "dae"],
        ["scan", "cae+pixels_16"],
    ]


def test_as_many_normal_and_abnormal_scans_as_asked_for_are_its_columns():
    (figure,) = pictures([model("cae")], 1)
    (axes,) = figure.axes
    assert [it.get_text() for it in axes.get_xticklabels()] == [
        "n0.png\nnormal",
        "a0.png\nabnormal",
    ]


def test_nothing_to_show_is_no_picture():
    assert list(pictures([], 2)) == []
