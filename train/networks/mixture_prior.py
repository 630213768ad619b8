"""A learned mixture of Gaussians that latents are expected to follow, instead of N(0, I).

p(z) = Σ πₖ N(z; mₖ, sₖ²), axes independent. How far is a posterior q = N(μ, σ²) from it? KL(q ‖ p)
has no closed form, but a bound from above has. With q(k) the component that an image is taken to be
of, KL(q(z) q(k) ‖ p(z, k)) = Σ q(k) KL(q ‖ pₖ) + KL(q(k) ‖ π). It is least where q(k) is in
proportion to πₖ exp(−KL(q ‖ pₖ)), and then −log Σ πₖ exp(−KL(q ‖ pₖ)) (Hershey and Olsen, ICASSP
2007). No draw is needed, for one component it is the KL itself, and its gradient has no noise.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from train.networks.variational import Posterior
from train.shapes import Latents, Memberships, Scores

SMALLEST_EXCESS = 1e-4  # of a variance over its floor, so that it can grow again


class MixtureKl(NamedTuple):
    """The bound's two terms, of each image; they add up to it."""

    latents: Scores  # Σ q(k) KL(q ‖ pₖ): how far from the components it belongs to
    membership: Scores  # KL(q(k) ‖ π): how much is said by saying which


class MixturePrior(nn.Module):
    """Weights, means and variances of the components, all learned.

    At first all are N(0, I), which makes the mixture what a VAE has; equal components remain equal
    until they are placed.
    """

    def __init__(self, *, components: int, latent: int, variance_floor: float) -> None:
        super().__init__()
        self.variance_floor = variance_floor
        self.means = nn.Parameter(torch.zeros(components, latent))
        self.logits = nn.Parameter(torch.zeros(components))
        # Variances beyond the floor, below which a component would become a point.
        self.log_excess = nn.Parameter(
            torch.full((components, latent), math.log1p(-variance_floor))
        )

    @property
    def log_weights(self) -> Tensor:
        """log π (component)."""
        return self.logits.log_softmax(dim=0)

    @property
    def variances(self) -> Tensor:
        """s² (component, latent)."""
        return self.variance_floor + self.log_excess.exp()

    @torch.no_grad()
    def place(self, mean: Latents, log_variance: Latents, clusters: Tensor) -> None:
        """Make each component that of a cluster, by which posteriors `clusters` (batch) says.

        Each becomes the Gaussian nearest to its posteriors, its share its weight.
        """
        for component in range(len(self.means)):
            own = clusters == component
            centre = mean[own].mean(dim=0)
            variance = ((mean[own] - centre).square() + log_variance[own].exp()).mean(dim=0)
            self.means[component] = centre
            self.log_excess[component] = (
                (variance - self.variance_floor).clamp_min(SMALLEST_EXCESS).log()
            )
            self.logits[component] = own.float().mean().log()

    def kl(self, posterior: Posterior) -> MixtureKl:
        """How far each posterior is from the mixture: the bound, in nats."""
        kls = self.kls(posterior)
        log_weights = self.log_weights
        log_memberships = _normalised(log_weights - kls)
        memberships = log_memberships.exp()
        return MixtureKl(
            (memberships * kls).sum(dim=1),
            (memberships * (log_memberships - log_weights)).sum(dim=1),
        )

    def memberships(self, posterior: Posterior) -> Memberships:
        """q(k): which component each image is taken to come from."""
        return _normalised(self.log_weights - self.kls(posterior)).exp()

    def kls(self, posterior: Posterior) -> Memberships:
        """KL(q ‖ pₖ) of each image and component, in nats."""
        mean, log_variance = (it.unsqueeze(1) for it in posterior)  # (batch, 1, latent)
        variances = self.variances
        ratio = (log_variance.exp() + (mean - self.means).square()) / variances
        return 0.5 * (ratio - 1 - log_variance + variances.log()).sum(dim=2)

    def energy(self, latents: Latents) -> Scores:
        """−log p(z) of each latent."""
        variances = self.variances
        apart = (latents.unsqueeze(1) - self.means).square() / variances
        constants = (2 * math.pi * variances).log().sum(dim=1)
        exponents = self.log_weights - 0.5 * (apart.sum(dim=2) + constants)
        return -_log_sum_exp(exponents).squeeze(1)

    def draw(self, count: int, chance: torch.Generator) -> Tensor:
        """(component, count, latent): of each component its mean, then chance latents."""
        components, latent = self.means.shape
        noise = torch.randn(components, count, latent, generator=chance).to(self.means.device)
        noise[:, 0] = 0
        return self.means.unsqueeze(1) + self.variances.sqrt().unsqueeze(1) * noise


def _normalised(exponents: Tensor) -> Tensor:
    """Less the logarithm of what their exponentials add up to."""
    return exponents - _log_sum_exp(exponents)


def _log_sum_exp(exponents: Tensor) -> Tensor:
    """(batch, 1). The largest exponent is taken out, so that none overflows in any runtime."""
    largest = exponents.amax(dim=1, keepdim=True)
    return largest + (exponents - largest).exp().sum(dim=1, keepdim=True).log()
