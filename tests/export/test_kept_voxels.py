"""Figures over several tests equal those of all their voxels in one array."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from export import kept_voxels
from train.metrics import count_pixels


def scan(seed, *, shift=0.0):
    """A map whose abnormal voxels are higher, more or less, and the truth."""
    draw = np.random.default_rng(seed)
    truth = draw.random((6, 20, 20)) < 0.2
    return (draw.random(truth.shape) + 0.7 * truth + shift).astype(np.float32), truth


def kept(path, *scans):
    kept_voxels.save(path, [count_pixels(it, it > 1.0, truth) for it, truth in scans])
    return path


def test_pooled_figures_are_those_of_all_voxels_together(tmp_path):
    scans = [scan(0), scan(1, shift=0.3), scan(2)]
    paths = [kept(tmp_path / "a.npz", *scans[:2]), kept(tmp_path / "b.npz", scans[2])]
    found = kept_voxels.pooled_metrics(paths)
    values = np.concatenate([it.ravel() for it, _ in scans])
    truth = np.concatenate([it.ravel() for _, it in scans])
    masks = values > 1.0
    dice = 2 * (masks & truth).sum() / (masks.sum() + truth.sum())
    assert found["pooled_voxel_ap"] == pytest.approx(
        average_precision_score(truth, values), abs=0.01
    )
    assert found["pooled_voxel_auroc"] == pytest.approx(roc_auc_score(truth, values), abs=0.01)
    assert found["pooled_dice"] == pytest.approx(dice)


def test_they_are_not_the_mean_of_the_tests(tmp_path):
    both = [kept(tmp_path / "a.npz", scan(0)), kept(tmp_path / "b.npz", scan(1, shift=0.5))]
    alone = [kept_voxels.pooled_metrics([it])["pooled_voxel_ap"] for it in both]
    assert kept_voxels.pooled_metrics(both)["pooled_voxel_ap"] < min(alone) - 0.02


def test_counts_come_back_as_they_were_written(tmp_path):
    first, second = (count_pixels(it, it > 1.0, truth) for it, truth in (scan(0), scan(1)))
    path = tmp_path / "new/voxels.npz"
    kept_voxels.save(path, [first, second])
    found = kept_voxels.load(path)
    assert set(found.bins) == {*first.bins, *second.bins}
    assert found.abnormal.sum() == first.abnormal.sum() + second.abnormal.sum()
    assert found.confusion == tuple(np.add(first.confusion, second.confusion))


def test_nothing_is_said_while_a_test_is_missing_or_where_nothing_is_abnormal(tmp_path):
    here = kept(tmp_path / "a.npz", scan(0))
    assert kept_voxels.pooled_metrics([here, tmp_path / "none.npz"]) == {}
    assert kept_voxels.pooled_metrics([]) == {}
    healthy, truth = scan(0)
    assert kept_voxels.pooled_metrics([kept(tmp_path / "b.npz", (healthy, truth & False))]) == {}
