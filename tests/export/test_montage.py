"""Montages of volumes: which slices, and what a tile shows."""

from dataclasses import replace

import numpy as np
import pytest

from export.montage import COLUMNS, GAP_PX, LINE_PX, TILE, chosen_slices, montage
from export.panels import TRUE
from tests.export.test_localisation import MANIFEST, SPATIAL, scan

DEEP = (30, 16, 16)


def found(truth, peak):
    anomaly_map = np.zeros(DEEP, np.float32)
    anomaly_map[peak] = 9
    return scan(anomaly_map, truth)


def test_slices_go_evenly_through_the_lesion_and_the_peak_is_among_them():
    truth = np.zeros(DEEP, bool)
    truth[10:20, 4:8, 4:8] = True
    assert chosen_slices(found(truth, (14, 0, 0)), 5) == [11, 13, 14, 16, 18]
    assert chosen_slices(found(truth, (27, 0, 0)), 3) == [12, 17, 27]
    assert chosen_slices(found(truth, (27, 0, 0)), 1) == [27]


@pytest.mark.parametrize("truth", [np.zeros(DEEP, bool), None], ids=["normal", "unknown"])
def test_without_a_lesion_they_go_through_the_scan(truth):
    assert chosen_slices(found(truth, (3, 0, 0)), 4) == [3, 5, 15, 25]


@pytest.mark.parametrize(
    ("redrawn", "columns"),
    [
        (np.zeros((SPATIAL[0], 1, 8, 8), np.float32), len(COLUMNS)),
        (None, len(COLUMNS) - 1),  # nothing is redrawn: no column for it
    ],
    ids=["slices", "none"],
)
def test_every_row_has_a_tile_for_each_column_and_the_truth_is_marked_in_the_last(redrawn, columns):
    truth = np.zeros(SPATIAL, bool)
    truth[2, 4:12, 4:12] = True
    anomaly_map = np.random.default_rng(0).random(SPATIAL).astype(np.float32)
    seen = scan(anomaly_map, truth)
    images = seen.finding.images if redrawn is None else redrawn
    finding = replace(seen.finding, images=images, reconstruction=redrawn)
    seen = replace(seen, finding=finding)
    picture = montage(seen, MANIFEST, 1)
    tile = round(SPATIAL[1] * TILE / SPATIAL[2]) + GAP_PX, TILE + GAP_PX
    rows = len(chosen_slices(scan(anomaly_map, truth), 1))
    assert picture.shape == (LINE_PX + rows * tile[0], columns * tile[1], 3)
    last = montage(scan(anomaly_map * 0 + truth, truth), MANIFEST, 1)[:, -tile[1] :]
    marked = last[LINE_PX + 8 * TILE // 19, 8 * TILE // 19].astype(int)
    assert (np.abs(marked - (np.array(TRUE) + 255) // 2) <= 1).all()
