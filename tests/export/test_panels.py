"""The panels of a test scan show the slice that scored highest, wherever the model looks."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from export.panels import panel_of
from export.scan_scores import ScoredScan
from infer.finding import find_all
from infer.images import slices_of
from infer.preprocessing import UNPROCESSED
from tests.infer.test_finding import BATCH, Brightness, manifest_of, volume_of
from train.datasets.case import Case


def test_image_map_and_truth_are_of_one_slice_where_only_some_are_looked_at():
    voxels = np.random.default_rng(0).uniform(0, 20, (1, 10, 8, 8)).astype(np.float32)
    voxels[0, 7, 2:5, 2:5] = 70
    voxels[0, 1] = 80  # not looked at
    truth = np.zeros(voxels.shape[1:], bool)
    truth[7, 2:5, 2:5] = True
    manifest = replace(manifest_of("axial"), slice_range=(0.4, 1.0), preprocessing=UNPROCESSED)
    volume = volume_of(voxels)
    (finding,) = find_all([volume], manifest, Brightness(), batch_size=BATCH)
    case = Case(scan=Path("v.nii.gz"), group="v", normal=False, mask=Path("m.nii.gz"))
    panel = panel_of(
        ScoredScan(
            case=case,
            volume=volume,
            finding=finding,
            truth=truth,
            plane="axial",
            slices=slices_of(volume, manifest),
        ),
        manifest,
    )
    np.testing.assert_array_equal(panel.truth, truth[7])
    np.testing.assert_allclose(panel.image[0], voxels[0, 7] / 80, atol=1e-3)
    np.testing.assert_allclose(panel.anomaly_map, voxels[0, 7] / 80, atol=1e-3)
