"""Which values of a map count as normal, and how few of them are enough."""

from dataclasses import replace

import numpy as np
import pytest

from export import normal_voxels
from export.normal_voxels import normal_values
from tests.export.test_localisation import SPATIAL, scan

NOTHING = np.zeros(SPATIAL, bool)


def test_slices_that_are_not_looked_at_have_no_normal_values():
    """Their map is 0: beside many of them, any threshold would be far too low."""
    looked = range(2, 4)
    anomaly_map = np.zeros(SPATIAL, np.float32)
    anomaly_map[2:4] = np.random.default_rng(0).uniform(1, 2, (2, *SPATIAL[1:]))
    found = replace(scan(anomaly_map, NOTHING, normal=True), slices=looked)
    np.testing.assert_array_equal(normal_values(found, "scans"), anomaly_map[2:4].ravel())


@pytest.mark.parametrize("width", [16, 19, 20])
def test_some_of_many_values_are_of_every_column(width, monkeypatch):
    monkeypatch.setattr(normal_voxels, "PIXELS_PER_SCAN", 200)
    columns = np.broadcast_to(np.arange(width, dtype=np.float32), (20, 10, width))
    found = scan(np.ascontiguousarray(columns), np.zeros(columns.shape, bool), normal=True)
    values = normal_values(found, "scans")
    assert set(values) == set(range(width))
    assert 100 <= len(values) <= 200
