"""Variational autoencoder: its network, its evidence lower bound, and where in an image that lies.

The evidence lower bound (ELBO) has two terms. How likely is the image, if each pixel is Gaussian
around its reconstruction with one constant variance? And how far is the distribution of its latents
from N(0, I), their Kullback-Leibler divergence (KL)? Both are in nats, summed over pixels and over
latents; as losses, so that smaller is more normal.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from infer.errors import UnknownChoiceError
from train.networks.autoencoder import CONV, CONV_TRANSPOSE, levels_for
from train.networks.stack import Stack
from train.seeding import drawn_for_all
from train.shapes import Evidence, Images, Latents, Scores

AnomalyMap = Literal["residual", "likelihood", "elbo_gradient", "kl_gradient"]

HALVING: Mapping[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class VariationalShape:
    """What a variational autoencoder is cut for."""

    channels: int
    image_size: tuple[int, ...]  # powers of two
    features: tuple[int, ...]  # channels after each halving
    latent: int
    variance: float  # of a pixel around its reconstruction

    @property
    def bottom(self) -> tuple[int, ...]:
        """Size of what the halvings leave of an image.

        Raises:
            UnknownChoiceError: nothing is left.
        """
        most = levels_for(self.image_size) + 2  # down to one pixel
        if not 1 <= len(self.features) <= most:
            raise UnknownChoiceError(
                f"{len(self.features)} features are not possible for {list(self.image_size)}",
                hint=f"each halves the image: name 1 to {most}",
            )
        return tuple(side // 2 ** len(self.features) for side in self.image_size)


class Posterior(NamedTuple):
    """A Gaussian over latents for each image, its axes independent."""

    mean: Latents
    log_variance: Latents


class Elbo(NamedTuple):
    """The two losses of each image; constants left out, so that 0 is perfect."""

    likelihood: Scores  # −log p(image | latents)
    kl: Scores


class Look(NamedTuple):
    """All that is seen of images without chance: latents at their mean."""

    evidence: Evidence
    reconstruction: Images
    elbo: Elbo
    latents: Latents


class Variational(nn.Module):
    """Halving convolutions, one that takes in all they leave; the same way back."""

    def __init__(self, shape: VariationalShape) -> None:
        super().__init__()
        self.shape = shape
        dims, bottom = len(shape.image_size), shape.bottom
        conv: Callable[..., nn.Module] = CONV[dims]
        turned_round: Callable[..., nn.Module] = CONV_TRANSPOSE[dims]
        sizes = [shape.channels, *shape.features]
        down = [conv(*pair, **HALVING) for pair in pairwise(sizes)]
        up = [turned_round(*pair, **HALVING) for pair in pairwise(sizes[::-1])]
        self.encoder = Stack([*down, conv(sizes[-1], 2 * shape.latent, kernel_size=bottom)])
        self.decoder = Stack([turned_round(shape.latent, sizes[-1], kernel_size=bottom), *up])

    def encode(self, images: Images) -> Posterior:
        """Which latents an image may have."""
        return _posterior(self.encoder(images))

    def decode(self, latents: Latents) -> Images:
        """The images that latents stand for."""
        images: Tensor = self.decoder(self._as_features(latents)).float()
        return images

    def draw(self, posterior: Posterior) -> Latents:
        """One chance latent per image."""
        mean = posterior.mean
        noise = drawn_for_all(
            lambda count: mean.new_empty(count, *mean.shape[1:]).normal_(), len(mean)
        )
        return mean + noise * (0.5 * posterior.log_variance).exp()

    def elbo(self, images: Images) -> Elbo:
        """Both losses, at a chance latent of each image."""
        posterior = self.encode(images)
        return Elbo(self.unlikelihood(images, self.decode(self.draw(posterior))), kl_of(posterior))

    def unlikelihood(self, images: Images, reconstruction: Images) -> Scores:
        """−log p of images around their reconstruction, without its constant."""
        return self._unlikelihoods(images, reconstruction).flatten(1).sum(dim=1)

    def look(self, images: Images, anomaly_map: AnomalyMap) -> Look:
        """The reconstruction at the mean latents, both losses there, and the chosen evidence.

        `residual` is signed; the others are not: a pixel's share of the likelihood's loss, or how
        much a change of the pixel would change the whole loss, or its KL.
        """
        down = self.encoder.trace(images)
        posterior = _posterior(down[-1])
        up = self.decoder.trace(self._as_features(posterior.mean))
        redrawn = up[-1].float()
        match anomaly_map:
            case "residual":
                evidence = images - redrawn
            case "likelihood":
                evidence = self._unlikelihoods(images, redrawn)
            case "kl_gradient":
                gradient = _flat_kl_gradient(posterior)
                evidence = self._through_encoder(gradient, down).abs()
            case "elbo_gradient":
                pull = (images - redrawn) / self.shape.variance
                by_latents = self.decoder.pull_back(-pull, up).flatten(1)
                gradient = _flat_kl_gradient(posterior)
                mean, log_variance = gradient.chunk(2, dim=1)
                gradient = torch.cat([mean + by_latents, log_variance], dim=1)
                evidence = (pull + self._through_encoder(gradient, down)).abs()
        elbo = Elbo(self.unlikelihood(images, redrawn), kl_of(posterior))
        return Look(evidence, redrawn, elbo, posterior.mean)

    def _unlikelihoods(self, images: Images, reconstruction: Images) -> Evidence:
        return (images - reconstruction).square() / (2 * self.shape.variance)

    def _through_encoder(self, gradient: Tensor, down: list[Tensor]) -> Tensor:
        """Gradient by mean and log-variance → gradient by the image."""
        return self.encoder.pull_back(gradient.reshape(down[-1].shape), down)

    def _as_features(self, latents: Latents) -> Tensor:
        return latents[(..., *[None] * len(self.shape.image_size))]


def kl_of(posterior: Posterior) -> Scores:
    """KL(N(mean, variance) ‖ N(0, I)) of each image."""
    return kls_of(posterior).sum(dim=1)


def kls_of(posterior: Posterior) -> Latents:
    """The same of each latent by itself; they add up, since the axes are independent."""
    mean, log_variance = posterior
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


def _posterior(outputs: Tensor) -> Posterior:
    mean, log_variance = outputs.flatten(1).float().chunk(2, dim=1)
    return Posterior(mean, log_variance)


def _flat_kl_gradient(posterior: Posterior) -> Tensor:
    """Of the KL by means and log-variances side by side, as the encoder's last layer gives them."""
    return torch.cat([posterior.mean, 0.5 * (posterior.log_variance.exp() - 1)], dim=1)
