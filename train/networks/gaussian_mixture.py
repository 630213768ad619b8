"""Gaussian mixture from soft memberships: moments, Cholesky factors, energy −log Σ φₖ N(z; μₖ, Σₖ).

Moments and factors are float64, for a float32 Cholesky fails on covariances that are nearly
singular; what is stored is float32, as the rest of a graph.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from train.shapes import Latents, Loss, Memberships, Scores

TINY = 1e-12  # keeps the share of a component without members above 0
ROUNDING = 1e-10  # of the mean variance: what float64 sums may get wrong in a covariance


class Moments(NamedTuple):
    """Shares, means and covariances of the components, float64."""

    shares: Tensor  # φ (component)
    means: Tensor  # μ (component, latent)
    covariances: Tensor  # Σ (component, latent, latent), positive definite


class Densities(NamedTuple):
    """The components in the form their densities are computed from."""

    means: Tensor  # μ (component, latent)
    whitening: Tensor  # L⁻¹ where Σ = L Lᵀ (component, latent, latent)
    log_weights: Tensor  # log φ − ½ log |2πΣ| (component)


def moments_of(latents: Latents, memberships: Memberships, floor: float) -> Moments:
    """Weighted moments of `latents`; `floor` is added to the variances."""
    values, weights = latents.double(), memberships.double()
    totals = weights.sum(dim=0) + TINY
    means = (weights.T @ values) / totals.unsqueeze(1)
    offsets = values.unsqueeze(1) - means  # (batch, component, latent)
    weighted = weights.unsqueeze(2) * offsets
    spread = torch.einsum("bki,bkj->kij", weighted, offsets) / totals.view(-1, 1, 1)
    identity = torch.eye(values.shape[1], dtype=values.dtype, device=values.device)
    least = floor + ROUNDING * spread.diagonal(dim1=1, dim2=2).mean(dim=1).detach()
    return Moments(totals / totals.sum(), means, spread + least.view(-1, 1, 1) * identity)


def densities_of(moments: Moments) -> Densities:
    """Factors and log determinants of the covariances; NaN where one has no factor.

    Features that are not finite, say, of a fit that diverged: its loss says so.
    """
    factors, failed = torch.linalg.cholesky_ex(moments.covariances)
    factors = factors.masked_fill(failed.view(-1, 1, 1) != 0, math.nan)
    identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    whitening = torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
    diagonal = factors.diagonal(dim1=1, dim2=2)
    half_log_determinants = (math.sqrt(2 * math.pi) * diagonal).log().sum(dim=1)
    return Densities(moments.means, whitening, moments.shares.log() - half_log_determinants)


def energies(latents: Latents, densities: Densities) -> Scores:
    """−log density of each latent; the largest exponent is taken out, so that none overflows."""
    means, whitening, log_weights = densities
    offsets = latents.to(means.dtype).unsqueeze(1) - means
    whitened = (whitening * offsets.unsqueeze(2)).sum(dim=3)  # (batch, component, latent)
    exponents = log_weights - 0.5 * whitened.square().sum(dim=2)
    largest = exponents.amax(dim=1, keepdim=True)
    return -(largest.squeeze(1) + (exponents - largest).exp().sum(dim=1).log())


def inverse_variances(moments: Moments) -> Loss:
    """Sum of 1 / Σₖⱼⱼ: the penalty that keeps components from shrinking to a point."""
    return moments.covariances.diagonal(dim1=1, dim2=2).reciprocal().sum()


class StoredMixture(nn.Module):
    """A mixture as constants of a model: standard normal until one is stored."""

    means: Tensor
    whitening: Tensor
    log_weights: Tensor

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        standard = Moments(
            shares=torch.full((components,), 1 / components, dtype=torch.float64),
            means=torch.zeros(components, latent, dtype=torch.float64),
            covariances=torch.eye(latent, dtype=torch.float64).repeat(components, 1, 1),
        )
        for name, values in densities_of(standard)._asdict().items():
            self.register_buffer(name, values.float())

    def store(self, moments: Moments) -> None:
        """Keep this mixture from now on."""
        for name, values in densities_of(moments)._asdict().items():
            getattr(self, name).copy_(values)

    def forward(self, latents: Latents) -> Scores:
        """The energy of each latent, whatever the others."""
        return energies(latents, Densities(self.means, self.whitening, self.log_weights))
