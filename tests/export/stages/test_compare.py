"""What `compare` sets beside the models."""

import numpy as np

from export.stages import compare
from train.stored_images import StoredImages


def test_baselines_know_normal_training_images_only(monkeypatch):
    """Methods that learn from labels train on abnormal ones, too."""
    normal = np.full((6, 1, 8, 8), 0.3, np.float32)
    images = np.concatenate([normal, np.full((20, 1, 8, 8), 0.9, np.float32)])
    stored = StoredImages(images, np.arange(26)), np.arange(26) >= 6
    monkeypatch.setattr(compare, "open_images", lambda study, split: stored)
    trivial = {it.name: it for it in compare.trivial_rows("study")}
    assert trivial["mean_image"].run(normal[:1]).anomaly_map.max() < 1e-3
