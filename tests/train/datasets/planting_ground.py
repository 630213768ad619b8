"""Healthy scans to plant into: a head of folded tissue in black air, and what is planted."""

import numpy as np

from infer.volume import Grid, Volume
from train.datasets.anomalies import KINDS
from train.datasets.planting import PlantingConfig

CONFIG = {
    "kinds": tuple(KINDS),
    "per_scan": len(KINDS),
    "radii_mm": (4.0, 9.0),
    "contrast": (1.0, 2.0),
    "least_change": 0.25,
    "edge": 0.4,
    "foreground": "body",
    "margin_mm": 3.0,
    "pixel_mm": 1.0,
    "seed": 1,
}


def config(**changed):
    return PlantingConfig(**{**CONFIG, **changed})


def head(seed=0, *, shape=(12, 64, 56), spacing_mm=(3.0, 1.0, 1.2), folds_mm=9.0):
    """An elliptic cylinder (of a picture, ellipse) of waves and noise, in HU-like numbers."""
    rng = np.random.default_rng(seed)
    at_mm = np.stack(
        np.meshgrid(
            *[np.arange(n) * by for n, by in zip(shape, spacing_mm, strict=True)], indexing="ij"
        )
    )
    phases = rng.uniform(0, 2 * np.pi, len(shape))
    waves = sum(
        np.sin(2 * np.pi * it / folds_mm + by) for it, by in zip(at_mm, phases, strict=True)
    )
    tissue = 600 + 100 * waves + rng.normal(0, 10, shape)
    rows, columns = np.linspace(-1, 1, shape[-2]), np.linspace(-1, 1, shape[-1])
    inside = rows[:, np.newaxis] ** 2 + columns**2 < 0.9
    return np.where(inside, tissue, 0).round().astype(np.float32)


def volume(voxels, *, spacing_mm=(3.0, 1.0, 1.2), unit="modality"):
    """A scan of one channel, or of those given in front."""
    spatial = voxels.shape if voxels.ndim == len(spacing_mm or voxels.shape) else voxels.shape[1:]
    axes = tuple(range(len(spatial)))
    return Volume(
        voxels=voxels.reshape(-1, *spatial),
        unit=unit,
        spacing_mm=spacing_mm,
        grid=Grid(shape=spatial, axes=axes, flipped=(False,) * len(axes)),
    )
