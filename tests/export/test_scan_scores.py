from dataclasses import replace

import cv2
import nibabel
import numpy as np
import pytest

from export import scan_scores
from export.scan_scores import is_anomalous, score_scans
from infer.engine_batches import EngineOutputs
from infer.errors import UadError
from infer.manifest import Threshold
from tests.export.tiny_graph import TINY_MANIFEST
from train.datasets.case import Case


class Brightness:
    """Map = the image, score = its maximum."""

    def run(self, images) -> EngineOutputs:
        return EngineOutputs(
            anomaly_map=images,
            score=images.max(axis=(1, 2, 3)),
            reconstruction=None,
            score_parts={},
        )


def picture(folder, name, value, *, normal=True, mask=None):
    path = folder / f"{name}.png"
    cv2.imwrite(str(path), np.full((20, 24), value, np.uint8))
    return Case(scan=path, group=name, normal=normal, mask=mask)


def volume(folder, name, mask=None):
    path = folder / f"{name}.nii.gz"
    voxels = np.random.default_rng(0).uniform(0, 80, (12, 14, 5)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 3.0, 1.0])), path)
    return Case(scan=path, group=name, normal=mask is None, mask=mask)


def test_results_do_not_depend_on_how_many_scans_are_read_together(tmp_path, monkeypatch):
    cases = [picture(tmp_path, f"p{at}", 20 * at) for at in range(5)] + [volume(tmp_path, "v")]
    together = [it.finding.score for it in score_scans(cases, TINY_MANIFEST, Brightness())]
    monkeypatch.setattr(scan_scores, "VOXELS_AT_ONCE", 1)
    alone = [it.finding.score for it in score_scans(cases, TINY_MANIFEST, Brightness())]
    assert together == alone
    assert len(together) == 6


def test_the_truth_of_a_volume_lies_on_its_grid(tmp_path):
    truth = np.zeros((12, 14, 5), np.uint8)
    truth[3, 4, 2] = 1
    path = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(truth, np.diag([1.0, 1.0, 3.0, 1.0])), path)
    (scored,) = score_scans([volume(tmp_path, "v", path)], TINY_MANIFEST, Brightness())
    assert scored.truth is not None
    assert scored.truth.shape == scored.finding.mask.shape
    np.testing.assert_array_equal(scored.volume.grid.to_file(scored.truth), truth.astype(bool))


def test_a_normal_scan_has_an_empty_truth_and_an_abnormal_one_without_mask_has_none(tmp_path):
    cases = [picture(tmp_path, "a", 1), picture(tmp_path, "b", 2, normal=False)]
    normal, abnormal = score_scans(cases, TINY_MANIFEST, Brightness())
    assert normal.truth is not None
    assert not normal.truth.any()
    assert abnormal.truth is None


def test_a_mask_of_another_size_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.full((20, 20), 255, np.uint8))
    case = picture(tmp_path, "a", 9, normal=False, mask=tmp_path / "mask.png")
    with pytest.raises(UadError, match=r"mask\.png"):
        list(score_scans([case], TINY_MANIFEST, Brightness()))


def test_anomalous_follows_the_score_or_the_mask_as_the_manifest_says(tmp_path):
    (scored,) = score_scans([picture(tmp_path, "a", 200)], TINY_MANIFEST, Brightness())
    by_score = replace(TINY_MANIFEST, score_threshold=Threshold(value=2.0, chosen_by="test"))
    assert scored.finding.mask.any()
    assert not is_anomalous(scored.finding, by_score)
    assert is_anomalous(scored.finding, replace(by_score, anomalous_by="mask"))


def test_a_scan_knows_which_of_its_slices_were_looked_at(tmp_path):
    manifest = replace(TINY_MANIFEST, plane="coronal", slice_range=(0.5, 1.0))
    (scored,) = score_scans([volume(tmp_path, "v")], manifest, Brightness())
    assert scored.plane == "coronal"
    assert scored.slices == range(7, 14)
    assert len(scored.finding.slice_scores) == 7
