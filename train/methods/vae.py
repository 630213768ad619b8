"""Variational autoencoder: what is unlikely under a model of healthy images is anomalous.

The brain-MRI study's method (Kingma and Welling, ICLR 2014), with the maps of Zimmerer, Isensee,
Petersen, Kohl, Maier-Hein, "Unsupervised Anomaly Localization using Variational Auto-Encoders",
MICCAI 2019. The study's "5-layer" is read as four stride-2 convolutions of 16, 32, 64 and 256
feature maps and a fifth that takes in all they leave and gives μ and log σ²; its "256 latent
variables" as one vector of 256 per image, not 256 maps. LeakyReLU follows every layer but those
that give μ, log σ² and the image, which must be free to take any value.

The study reports a Dice of 0.27 on BraTS, and nothing of head CT. Measured on the first fold of
head CT, validation AUROC: 0.891 with 64 latents (300 epochs) as with 16 (600), and 0.880 with 16
and three times the variance (300). By map, the same 64-latent model: residual 0.891, ELBO gradient
0.874, likelihood 0.845, KL gradient no better than chance. Test AUROC of the 2×5 cross validation:
0.896 ± 0.043 (0.869 ± 0.038 without any abnormal image before the test). The quickest
of ten fits took 56 s, on one thread of a shared machine.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import Optimizer

from train.bounds import Amount, Count, Rate, Seed, Widths
from train.methods.method import Findings, TrainingLoss
from train.networks.autoencoder import refuse_other_dims
from train.networks.variational import AnomalyMap, Variational, VariationalShape
from train.precision import Device, Precision
from train.shapes import Images


@dataclass(frozen=True, slots=True, kw_only=True)
class VaeConfig:
    """The numbers of one variational autoencoder and its fit."""

    seed: Seed
    device: Device
    devices: Count  # data-parallel processes
    precision: Precision
    intensity_range: tuple[float, float]  # of the images, black and white
    spatial_dims: Literal[2, 3]  # 2: slices; 3: whole volumes, or patches of them
    features: Widths  # channels after each halving
    latent: Count
    variance: Rate  # of a pixel around its reconstruction, c: the smaller, the less the KL counts
    anomaly_map: AnomalyMap
    learning_rate: Rate
    weight_decay: Amount
    batch_size: Count
    epochs: Count
    validate_every: Count  # epochs

    @property
    def records(self) -> int:
        return self.epochs


class Vae(nn.Module):
    """A variational autoencoder; evidence is the map that its config names."""

    def __init__(self, config: VaeConfig, channels: int, image_size: tuple[int, ...]) -> None:
        super().__init__()
        refuse_other_dims(config.spatial_dims, image_size)
        self.config = config
        shape = VariationalShape(
            channels=channels,
            image_size=image_size,
            features=config.features,
            latent=config.latent,
            variance=config.variance,
        )
        self.network = Variational(shape)

    def training_loss(self, images: Images) -> TrainingLoss:
        """The negative ELBO of the batch's mean image, and its two terms."""
        elbo = self.network.elbo(images)
        likelihood, kl = elbo.likelihood.mean(), elbo.kl.mean()
        return TrainingLoss(likelihood + kl, {"likelihood": likelihood, "kl": kl})

    def findings(self, images: Images) -> Findings:
        """The map, and the image's two losses, at the mean latents: nothing is left to chance."""
        seen = self.network.look(images, self.config.anomaly_map)
        return Findings(seen.evidence, seen.reconstruction, seen.elbo._asdict(), seen.latents)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam on everything."""
        return {
            "model": torch.optim.AdamW(
                self.parameters(),
                lr=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
            )
        }
