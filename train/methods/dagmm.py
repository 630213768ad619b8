"""DAGMM: where a mixture of healthy images' codes and redrawing errors is thin, it is anomalous.

Zong et al., "Deep Autoencoding Gaussian Mixture Model for Unsupervised Anomaly Detection", ICLR
2018. An autoencoder writes an image down as one or two numbers; these and two distances between the
image and its reconstruction are what a mixture of Gaussians is fitted to, over the whole training
set. The score part `energy` is −log density there; evidence is image minus reconstruction.

The head-CT study says that it "did not work on this dataset". Measured here on its first fold,
validation AUROC: the energy 0.63, no better than the untrained network's 0.63; by its residual
(strongest bright, of some hundred looks and recipes the best) 0.85, and the untrained network's
residual, which is little else than the image, 0.80. A latent of 1 with ten times the weights on
energy and penalty gave nothing better. Test AUROC of the 2×5 cross validation: 0.830 ± 0.064 with
the recipe that validation chose, 0.817 ± 0.067 untrained; by energy 0.567 and 0.572, below the mean
image's 0.748. The quickest of ten fits took 55 s, on one thread of a shared machine.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from train.bounds import Amount, Count, Dropout, Rate, Seed
from train.methods.method import Findings, TrainingLoss
from train.networks.autoencoder import Decoder, Encoder, Shape
from train.networks.gaussian_mixture import (
    StoredMixture,
    densities_of,
    energies,
    inverse_variances,
    moments_of,
)
from train.precision import Device, Precision
from train.shapes import Images, Latents, Memberships, Scores

DISTANCES = 2  # relative Euclidean and cosine, beside the latent
EPSILON = 1e-6  # least norm: a black image is at a distance of a number, not of NaN


@dataclass(frozen=True, slots=True, kw_only=True)
class DagmmConfig:
    """The numbers of one DAGMM and its fit."""

    seed: Seed
    device: Device
    devices: Count  # data-parallel processes
    precision: Precision
    intensity_range: tuple[float, float]  # of the images, black and white
    width: Count  # channels after the first halving
    latent: Count  # 1 or 2: the mixture's covariances grow with its square
    dropout: Dropout  # of the autoencoder
    components: Count  # of the mixture
    estimation_width: Count
    estimation_dropout: Dropout
    covariance_floor: Rate  # λ, added to every variance
    energy_weight: Amount
    penalty_weight: Amount  # of the inverse variances
    learning_rate: Rate
    weight_decay: Amount
    batch_size: Count
    epochs: Count
    validate_every: Count  # epochs

    @property
    def records(self) -> int:
        return self.epochs


class Compressed(NamedTuple):
    """An image in few numbers, and redrawn from some of them."""

    reconstruction: Images
    features: Latents  # the latent, relative Euclidean distance, cosine distance


class Dagmm(nn.Module):
    """Autoencoder, membership network and mixture; evidence is image minus reconstruction."""

    def __init__(self, config: DagmmConfig, channels: int, image_size: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        shape = Shape(
            channels=channels,
            image_size=image_size,
            width=config.width,
            latent=config.latent,
            dropout=config.dropout,
        )
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)
        self.estimation = nn.Sequential(
            nn.Linear(config.latent + DISTANCES, config.estimation_width),
            nn.Tanh(),
            nn.Dropout(config.estimation_dropout),
            nn.Linear(config.estimation_width, config.components),
            nn.Softmax(dim=1),
        )
        self.mixture = StoredMixture(config.components, config.latent + DISTANCES)

    def training_loss(self, images: Images) -> TrainingLoss:
        """Redrawing error (a sum over pixels, as in the paper), energy and penalty.

        Energy is that under the mixture of these very images, through which the gradient flows;
        what is stored serves `findings` only.
        """
        compressed = self._compress(images)
        moments = moments_of(
            compressed.features,
            self.estimation(compressed.features),
            self.config.covariance_floor,
        )
        errors = (images - compressed.reconstruction.float()).square().flatten(1).sum(dim=1)
        terms = {
            "reconstruction": errors.mean(),
            "energy": energies(compressed.features, densities_of(moments)).mean().float(),
            "penalty": inverse_variances(moments).float(),
        }
        total = (
            terms["reconstruction"]
            + self.config.energy_weight * terms["energy"]
            + self.config.penalty_weight * terms["penalty"]
        )
        return TrainingLoss(total, terms)

    def findings(self, images: Images) -> Findings:
        """Image minus reconstruction, with the energy under the stored mixture."""
        compressed = self._compress(images)
        parts = {"energy": self.mixture(compressed.features)}
        redrawn = compressed.reconstruction
        return Findings(images - redrawn, redrawn, parts, compressed.features)

    def describe(self, images: Images) -> tuple[Latents, Memberships]:
        """What a mixture is fitted to: features and soft memberships."""
        features = self._compress(images).features
        return features, self.estimation(features)

    def store_mixture(self, features: Latents, memberships: Memberships) -> None:
        """Take the mixture of these images, which should be the whole training set, for good."""
        self.mixture.store(moments_of(features, memberships, self.config.covariance_floor))

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam on everything."""
        return {
            "model": torch.optim.AdamW(
                self.parameters(),
                lr=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
            )
        }

    def _compress(self, images: Images) -> Compressed:
        latents = self.encoder(images)
        reconstruction = self.decoder(latents)
        features = [latents.float(), distances(images, reconstruction.float())]
        return Compressed(reconstruction, torch.cat(features, dim=1))


def distances(images: Images, reconstructions: Images) -> Latents:
    """Relative Euclidean and cosine distance of each image to its reconstruction.

    The cosine distance 1 − cos is taken as half the squared distance of the unit vectors, which is
    equal, but exact where the cosine is nearly 1: the mixture magnifies these numbers.
    """
    length, other = _lengths(images), _lengths(reconstructions)
    relative = _lengths(images - reconstructions) / length
    apart = _sums((images / length - reconstructions / other).square())
    return torch.stack([relative.flatten(), apart / 2], dim=1)


def _lengths(images: Images) -> Tensor:
    """Norm of each image (batch, 1, …, 1), never quite 0."""
    squares = _sums(images.square()) + EPSILON**2
    return squares.sqrt().view(-1, *[1] * (images.ndim - 1))


def _sums(images: Images) -> Scores:
    """Sum over each image, one axis after another.

    A runtime that adds thousands of float32 numbers in a row loses a digit that the mixture sees.
    """
    sums = images
    while sums.ndim > 1:
        sums = sums.sum(dim=-1)
    return sums
