"""What any method must beat: engines that look at brightness, sharpness or the mean image.

They run through the same readers, calibration and metrics as exported files, on images in [0, 1].
A trivial score that does as well as a network says that the data, not the network, is easy.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.ndimage import laplace, uniform_filter

from export.draft import OF_THE_MAP
from infer.engine_batches import EngineOutputs
from infer.scoring import Aggregation
from infer.shapes import Images, Maps, Scores
from train.stored_images import StoredImages

BOX_PX = 7
# Five grey levels of 255: where all training images agree (air), noise is no anomaly.
SMALLEST_STD = 0.02
DIGITS = 5  # of a score that are no rounding: of images in [0, 1]
AT_ONCE = 256  # training images: a matter of memory only
UNUSUAL = (
    "distance of its mean from the training images', on either side, in their standard deviations"
)
SMALLEST_SPREAD = 1e-6  # of a mean over an image: below, it is rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An engine of array functions."""

    name: str
    map_in_words: str
    score_in_words: str
    to_map: Callable[[Images], Maps]
    to_score: Callable[[Maps], Scores]
    reconstruction: np.ndarray | None = None  # (channel, *pixels), the same for every image
    # Whether its score says how high its map is. Then it is treated as a model is: where those
    # score slices by their maps, after all filters, so does it.
    by_map: bool = True

    def aggregation(self, of_models: Aggregation) -> Aggregation:
        """How its slices are scored where models' are so."""
        return of_models if self.by_map else replace(of_models, slice_score="graph")

    def in_words(self, of_models: Aggregation) -> str:
        """Its map and its score, where models' slices are scored so."""
        by_graph = self.aggregation(of_models).slice_score == "graph"
        score = self.score_in_words if by_graph else OF_THE_MAP
        return f"map = {self.map_in_words}; score = {score}"

    def run(self, images: Images) -> EngineOutputs:
        """Map and score of each image on its own."""
        anomaly_map = self.to_map(images).astype(np.float32)
        redrawn = self.reconstruction
        return EngineOutputs(
            anomaly_map=anomaly_map,
            # Without digits that resizing and processors round otherwise: many images are as
            # bright as can be, and which of them are above a threshold must not be theirs to say.
            score=np.round(self.to_score(anomaly_map), DIGITS).astype(np.float32),
            reconstruction=None if redrawn is None else np.repeat(redrawn[None], len(images), 0),
            score_parts={},
        )


def baselines(training: Images | StoredImages) -> list[Baseline]:
    """Every trivial baseline, in the order of the table; `training` images are normal."""
    mean, std = training.mean(axis=0), np.maximum(training.std(axis=0), SMALLEST_STD)

    def deviation(images: Images) -> Maps:
        return _brightness(np.abs(images - mean) / std)

    return [
        Baseline(
            name="intensity_threshold",
            map_in_words="brightness",
            score_in_words="its 99th percentile",
            to_map=_brightness,
            to_score=lambda maps: np.quantile(maps.reshape(len(maps), -1), 0.99, axis=1),
        ),
        Baseline(
            name="mean_image",
            map_in_words="|image − mean training image| / its standard deviation",
            score_in_words="mean",
            to_map=deviation,
            to_score=_mean,
            reconstruction=mean,
        ),
        Baseline(
            name="random",
            map_in_words="drawn at random from the image's content",
            score_in_words="its first value",
            to_map=_noise,
            to_score=lambda maps: maps.reshape(len(maps), -1)[:, 0],
            by_map=False,  # the highest of many draws tells how many there are
        ),
        Baseline(
            name="baseline_maximum",
            map_in_words="brightness",
            score_in_words="its maximum",
            to_map=_brightness,
            to_score=_maximum,
        ),
        Baseline(
            name=f"baseline_strongest_{BOX_PX}x{BOX_PX}",
            map_in_words=f"brightness averaged over {BOX_PX} × {BOX_PX} px",
            score_in_words="its maximum",
            to_map=lambda images: _box(_brightness(images)),
            to_score=_maximum,
        ),
        Baseline(
            name="baseline_sharpness",
            map_in_words="|Laplacian| of brightness",
            score_in_words=UNUSUAL,
            to_map=_edges,
            to_score=_unusual(_means(_edges, training)),
            by_map=False,
        ),
        Baseline(
            name="baseline_mean_intensity",
            map_in_words="brightness",
            score_in_words=UNUSUAL,
            to_map=_brightness,
            to_score=_unusual(_means(_brightness, training)),
            by_map=False,
        ),
    ]


def _means(to_map: Callable[[Images], Maps], training: Images | StoredImages) -> Scores:
    """The mean of each training image's map; a few images at a time, for there may be many."""
    starts = range(0, len(training), AT_ONCE)
    return np.concatenate([_mean(to_map(training[at : at + AT_ONCE])) for at in starts])


def _unusual(usual: Scores) -> Callable[[Maps], Scores]:
    """How far a map's mean lies from the `usual` ones, on either side, in their spread."""
    middle, spread = float(usual.mean()), max(float(usual.std()), SMALLEST_SPREAD)
    return lambda maps: np.abs(_mean(maps) - middle) / spread


def _brightness(images: Images) -> Maps:
    return np.asarray(np.mean(images, axis=1, keepdims=True))


def _edges(images: Images) -> Maps:
    """How much brightness changes around each pixel: |Laplacian|; at the border, reflected."""
    grey = np.asarray(_brightness(images), np.float32)
    if grey.ndim == 5:
        edges = np.stack([laplace(it[0], mode="mirror") for it in grey])
        return np.asarray(np.abs(edges))[:, np.newaxis]
    return np.stack([np.abs(cv2.Laplacian(it[0], cv2.CV_32F)) for it in grey])[:, np.newaxis]


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
