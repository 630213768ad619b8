"""Does a generator still draw, and an encoder find, different images? Figures and grids."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from train.shapes import Images, OtherImages

GENERATED = 64  # images of each kind that are compared
COLLAPSE_RATIO = "collapse_ratio"  # the metric's name
# `Diversity.ratio`. Generators of good fits end above 0.9 and begin near 0.4; what encoders of good
# fits let them draw reaches 0.9, too, and 0.03 where one failed.
COLLAPSED_BELOW = 0.5


class Watched(NamedTuple):
    """What was seen of a model while it trains."""

    metrics: dict[str, float]
    grids: dict[str, np.ndarray]  # name → images (image, channel, *pixels)
    warnings: tuple[str, ...] = ()  # what would make the model useless, if it stayed so


class Diversity(NamedTuple):
    """Distances are root mean squares over an image's values."""

    generated: float  # mean distance between two generated images
    real: float  # mean distance between two real images; NaN of one
    nearest: float  # mean distance of a generated image to its nearest real one

    @property
    def ratio(self) -> float:
        """About 1: as diverse as reality. Near 0: the generator has collapsed. NaN where there is
        nothing to compare with: one real image, or equal ones."""
        return self.generated / self.real if self.real else math.nan


def diversity(generated: Images, real: OtherImages) -> Diversity:
    """Compare generated with real images."""
    return Diversity(
        generated=_mean_pairwise(generated),
        real=_mean_pairwise(real),
        nearest=float(_distances(generated, real).min(dim=1).values.mean()),
    )


@torch.no_grad()
def watch_generator(model: Any, images: Images) -> Watched:
    """Diversity of what the model generates from fixed latents, and how it redraws `images`."""
    model.eval()
    generated = model.generate(model.fixed_latents(GENERATED))
    reconstruction = model.findings(images).reconstruction
    seen, redrawn = diversity(generated, images), diversity(reconstruction, images)
    metrics = {
        COLLAPSE_RATIO: seen.ratio,
        "generated_distance": seen.generated,
        "real_distance": seen.real,
        "nearest_training_distance": seen.nearest,
        "redrawn_ratio": redrawn.ratio,
    }
    pairs = torch.stack([images[:8], reconstruction[:8]], dim=1)
    grids = {"generated": _array(generated), "redrawn": _array(pairs.flatten(0, 1))}
    finite = {name: it for name, it in metrics.items() if math.isfinite(it)}
    return Watched(finite, grids, _warnings(seen, redrawn))


def watch_nothing(model: Any, images: Images) -> Watched:
    """For methods that generate nothing."""
    return Watched({}, {})


def _warnings(generated: Diversity, redrawn: Diversity) -> tuple[str, ...]:
    verdicts = {
        "the generator has collapsed: its images differ": generated.ratio,
        "the encoder has failed: the images it has redrawn differ": redrawn.ratio,
    }
    return tuple(
        f"{words} by {ratio:.0%} of what real ones do"
        for words, ratio in verdicts.items()
        if ratio < COLLAPSED_BELOW
    )


def _mean_pairwise(images: Images) -> float:
    distances = _distances(images, images)
    count = len(images)
    return float(distances.sum() / (count * (count - 1))) if count > 1 else math.nan  # diagonal: 0


def _distances(some: Images, others: OtherImages) -> Tensor:
    first, second = some.flatten(1).float(), others.flatten(1).float()
    # By differences: distances from products lose the small ones to rounding.
    exact = "donot_use_mm_for_euclid_dist"
    distances: Tensor = torch.cdist(first, second, compute_mode=exact)
    return distances / math.sqrt(first.shape[1])


def _array(images: Tensor) -> np.ndarray:
    return images.float().cpu().numpy()
