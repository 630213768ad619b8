"""How far a score, or a latent code, lies from those of healthy images, on either side.

A model may redraw what is wrong better than what is right: a blurred photograph has less to redraw
than a sharp one. Then it is not the high score that is odd, but the unusual one.
"""

import math

import numpy as np
import torch
from sklearn.covariance import LedoitWolf
from torch import Tensor

from train.shapes import Latents, Scores

FLOOR = 1e-6  # of the mean variance: no direction is so narrow that rounding is a finding


def typical_of(values: Latents) -> dict[str, Tensor]:
    """Centre `(1, latent)` and whitening `(latent, latent)` of what healthy images have.

    The covariance is shrunk (Ledoit and Wolf 2004): there may be fewer images than directions. Of
    values that are not finite, as a fit that diverges has, all is NaN.
    """
    seen = values.double().cpu().numpy()
    if not np.isfinite(seen).all():
        length = seen.shape[1]
        nothing = {"centre": values.new_full((1, length), math.nan)}
        return {**nothing, "whitening": values.new_full((length, length), math.nan)}
    centre = seen.mean(axis=0, keepdims=True)
    covariance = LedoitWolf(assume_centered=True).fit(seen - centre).covariance_
    mean_variance = float(np.trace(covariance)) / len(covariance) or 1.0
    factor = np.linalg.cholesky(covariance + FLOOR * mean_variance * np.eye(len(covariance)))
    whitening = np.linalg.inv(factor).T
    return {
        name: torch.from_numpy(it).to(values)
        for name, it in (("centre", centre), ("whitening", whitening))
    }


def distance(values: Latents, centre: Tensor, whitening: Tensor) -> Scores:
    """Mahalanobis distance of each image from the centre; of one number: standard deviations."""
    away: Scores = ((values - centre) @ whitening).norm(dim=1)
    return away
