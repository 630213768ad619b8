"""What any method must beat: engines that look at brightness, at the mean image, or at nothing.

They run through the same readers, calibration and metrics as exported files, on images in [0, 1].
A trivial score that does as well as a network says that the data, not the network, is easy.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import uniform_filter

from infer.finding import EngineOutputs
from infer.shapes import Images, Maps, Scores

BOX_PX = 7
# Five grey levels of 255: where all training images agree (air), noise is no anomaly.
SMALLEST_STD = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An engine of array functions."""

    name: str
    in_words: str
    to_map: Callable[[Images], Maps]
    to_score: Callable[[Maps], Scores]
    reconstruction: np.ndarray | None = None  # (channel, *pixels), the same for every image

    def run(self, images: Images) -> EngineOutputs:
        """Map and score of each image on its own."""
        anomaly_map = self.to_map(images).astype(np.float32)
        redrawn = self.reconstruction
        return EngineOutputs(
            anomaly_map=anomaly_map,
            score=self.to_score(anomaly_map).astype(np.float32),
            reconstruction=None if redrawn is None else np.repeat(redrawn[None], len(images), 0),
            score_parts={},
        )


def baselines(training: Images) -> list[Baseline]:
    """Every trivial baseline, in the order of the table; `training` images are normal."""
    mean, std = training.mean(axis=0), np.maximum(training.std(axis=0), SMALLEST_STD)

    def deviation(images: Images) -> Maps:
        return _brightness(np.abs(images - mean) / std)

    return [
        Baseline(
            name="intensity_threshold",
            in_words="map = brightness; score = its 99th percentile",
            to_map=_brightness,
            to_score=lambda maps: np.quantile(maps.reshape(len(maps), -1), 0.99, axis=1),
        ),
        Baseline(
            name="mean_image",
            in_words="map = |image − mean training image| / its standard deviation; score = mean",
            to_map=deviation,
            to_score=_mean,
            reconstruction=mean,
        ),
        Baseline(
            name="random",
            in_words="map and score drawn at random from the image's content",
            to_map=_noise,
            to_score=lambda maps: maps.reshape(len(maps), -1)[:, 0],
        ),
        Baseline(
            name="baseline_maximum",
            in_words="map = brightness; score = its maximum",
            to_map=_brightness,
            to_score=_maximum,
        ),
        Baseline(
            name=f"baseline_strongest_{BOX_PX}x{BOX_PX}",
            in_words=f"map = brightness averaged over {BOX_PX} × {BOX_PX} px; score = its maximum",
            to_map=lambda images: _box(_brightness(images)),
            to_score=_maximum,
        ),
    ]


def _brightness(images: Images) -> Maps:
    return np.asarray(np.mean(images, axis=1, keepdims=True))


def _mean(maps: Maps) -> Scores:
    return np.asarray(maps.mean(axis=tuple(range(1, maps.ndim))))


def _maximum(maps: Maps) -> Scores:
    return np.asarray(maps.max(axis=tuple(range(1, maps.ndim))))


def _box(maps: Maps) -> Maps:
    """Means over squares, or cubes; at the border, of what is reflected there."""
    if maps.ndim == 5:
        cubes = (1, 1, BOX_PX, BOX_PX, BOX_PX)
        return np.asarray(uniform_filter(maps, cubes, mode="mirror"))
    smoothed = [cv2.blur(np.asarray(it[0], np.float32), (BOX_PX, BOX_PX)) for it in maps]
    return np.stack(smoothed)[:, np.newaxis]


def _noise(images: Images) -> Maps:
    """Seeded by each image, so that a scan's row is the same in any company."""
    drawn = [
        np.random.default_rng(list(hashlib.blake2b(it.tobytes(), digest_size=8).digest())).random(
            it.shape[1:], np.float32
        )
        for it in np.ascontiguousarray(images)
    ]
    return np.stack(drawn)[:, np.newaxis]
