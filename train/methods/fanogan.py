"""f-AnoGAN: what a generator of healthy images cannot redraw is anomalous.

Schlegl et al., Medical Image Analysis 2019. A Wasserstein GAN with gradient penalty learns healthy
images; then an encoder learns to find, for an image, the latent from which the frozen generator
draws it. Anomalous is what differs, in the image and in the critic's features. On the head-CT study
the published slides give an image AUROC of 0.87 ± 0.06; here it was 0.908 ± 0.031, or 0.879 ± 0.024
without abnormal images. The quickest of five fits took 34 minutes, on one thread of a shared
machine, three quarters of them for generator and critic; `fanogan-izi` and `fanogan-ziz`, which
share those, repeat only the encoder's part. Validation AUROC against generator steps, one seed:
0.84 after 100, 0.89 after 200, 0.87 after 400, 0.89 after 1,500 (`benchmarks/fanogan_steps.py`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from train.bounds import Amount, Count, Decay, Rate, Seed
from train.methods.method import Findings, TrainingLoss
from train.networks.residual import Generator, ResidualEncoder
from train.precision import Device, Precision
from train.seeding import drawn_for_all
from train.shapes import Images, Latents, Loss, Scores

_ENCODER_OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
}
FIXED_SEED = 0  # of the latents that are drawn again and again to watch the generator


@dataclass(frozen=True, slots=True, kw_only=True)
class FAnoGanConfig:
    """The numbers of one f-AnoGAN and its fit."""

    seed: Seed
    device: Device
    devices: Count  # data-parallel processes
    precision: Precision
    intensity_range: tuple[float, float]  # of the images; the generator ends in tanh: [-1, 1]
    width: Count  # channels at full size; deeper layers have up to 8 times as many
    latent: Count
    critic_norm: Literal["none", "layer"]  # never of the batch: the penalty is per image
    encoder_norm: Literal["none", "layer", "batch"]
    encoder_latents: Literal["sphere", "tanh", "free"]  # where they may lie; see `FAnoGan.encode`
    encoder_loss: Literal["izi_f", "izi", "ziz"]
    feature_weight: Amount  # κ of izi_f
    penalty_weight: Amount
    penalty_precision: Precision  # of the critic there, half of a fit's time; auto: as the rest
    critic_steps: Count  # per step of the generator
    gan_learning_rate: Rate
    gan_betas: tuple[Decay, Decay]
    encoder_optimizer: Literal["rmsprop", "adam"]
    encoder_learning_rate: Rate
    batch_size: Count
    gan_steps: Count  # of the generator
    encoder_steps: Count
    steps_per_record: Count  # of generator or encoder, between two records of losses
    validate_every: Count  # records

    def __post_init__(self) -> None:
        if self.intensity_range != (-1.0, 1.0):
            raise ValueError(f"intensity_range must be [-1, 1], got {list(self.intensity_range)}")
        for name in ("gan_steps", "encoder_steps"):
            if getattr(self, name) % self.steps_per_record:
                raise ValueError(f"{name} must be a multiple of steps_per_record")

    @property
    def gan_records(self) -> int:
        return self.gan_steps // self.steps_per_record

    @property
    def records(self) -> int:
        return self.gan_records + self.encoder_steps // self.steps_per_record


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherEncoderConfig(FAnoGanConfig):
    """The numbers of another encoder for a generator and critic that are fitted already."""

    @property
    def gan_records(self) -> int:
        return 0


class CriticLoss(NamedTuple):
    """What the critic minimises, and its terms."""

    total: Loss
    wasserstein: Loss  # estimate of the distance between real and generated images
    penalty: Loss


class FAnoGan(nn.Module):
    """Generator, critic and encoder; evidence is image minus G(E(image))."""

    def __init__(self, config: FAnoGanConfig, channels: int, image_size: tuple[int, ...]) -> None:
        super().__init__()
        self.config = config
        size = (channels, image_size, config.width)
        self.generator = Generator(*size, config.latent)
        self.critic = ResidualEncoder(*size, outputs=1, norm=config.critic_norm)
        self.encoder = ResidualEncoder(*size, outputs=config.latent, norm=config.encoder_norm)
        # Of an image with one channel no layout can be told; convolutions then take their weights'.
        # A critic's step on a processor takes a quarter less time with this one.
        nn.utils.convert_conv2d_weight_memory_format(self, torch.channels_last)

    def critic_loss(self, images: Images) -> CriticLoss:
        """How badly the critic tells `images` from as many generated ones."""
        with torch.no_grad():
            generated = self.generate(self._draw(len(images))).to(images.dtype)
        wasserstein = self.critic(images).float().mean() - self.critic(generated).float().mean()
        device = images.device.type
        asked = self.config.penalty_precision
        half = torch.is_autocast_enabled(device) if asked == "auto" else asked == "bf16-mixed"
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            penalty = gradient_penalty(self.critic, images, generated)
        total = self.config.penalty_weight * penalty - wasserstein
        return CriticLoss(total, wasserstein, penalty)

    def generator_loss(self, images: Images) -> Loss:
        """How badly the generator deceives the critic, on as many draws as there are `images`."""
        verdicts: Tensor = self.critic(self.generate(self._draw(len(images))))
        return -verdicts.float().mean()

    def training_loss(self, images: Images) -> TrainingLoss:
        """The encoder's loss: izi, izi_f or ziz, as the paper names them."""
        if self.config.encoder_loss == "ziz":
            latents = self._draw(len(images))
            found = self.encode(self.generate(latents))
            return TrainingLoss(functional.mse_loss(found, latents), {})
        redrawn = self.generate(self.encode(images)).float()
        image = functional.mse_loss(redrawn, images)
        if self.config.encoder_loss == "izi":
            return TrainingLoss(image, {})
        seen, expected = self.critic.features(redrawn), self.critic.features(images)
        features = functional.mse_loss(seen.float(), expected.float())
        total = image + self.config.feature_weight * features
        return TrainingLoss(total, {"image": image, "features": features})

    def findings(self, images: Images) -> Findings:
        """Image minus G(E(image)), with the distances of critic features and of latents."""
        latents = self.encode(images)
        redrawn = self.generate(latents)
        parts = {
            "features": _mean_square(self.critic.features(images) - self.critic.features(redrawn)),
            "latent": _mean_square(latents - self.encode(redrawn)),
        }
        return Findings(images - redrawn, redrawn, parts, latents)

    def encode(self, images: Images) -> Latents:
        """Latents from which the generator draws images like these.

        `sphere`: at the distance from 0 at which nearly all latents lie that it was fitted to, and
        free in direction. Near 0, where an encoder begins, it draws one blur whatever the
        direction: of five free encoders of the head-CT study one stayed there. `tanh`, the paper's:
        within ±1 σ in each coordinate.
        """
        latents: Tensor = self.encoder(images).float()
        match self.config.encoder_latents:
            case "sphere":
                return math.sqrt(self.config.latent) * functional.normalize(latents)
            case "tanh":
                return torch.tanh(latents)
            case "free":
                return latents

    def generate(self, latents: Latents) -> Images:
        """The images the generator draws."""
        images: Tensor = self.generator(latents)
        return images

    def fixed_latents(self, count: int) -> Latents:
        """The same draws each time, to see how their images change over training."""
        chance = torch.Generator().manual_seed(FIXED_SEED)
        latents = torch.randn(count, self.config.latent, generator=chance)
        return latents.to(next(self.parameters()).device)

    def freeze_gan(self) -> None:
        """Only the encoder learns from here on; generator and critic stay as they are, bit by bit.

        Eval mode too: BatchNorm's running statistics would change without any gradient.
        """
        for network in (self.generator, self.critic):
            network.eval().requires_grad_(False)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam for the game of generator and critic; the paper's encoder learns by RMSProp."""
        rate, betas = self.config.gan_learning_rate, self.config.gan_betas
        of_encoder = _ENCODER_OPTIMIZERS[self.config.encoder_optimizer]
        return {
            "generator": torch.optim.Adam(self.generator.parameters(), lr=rate, betas=betas),
            "critic": torch.optim.Adam(self.critic.parameters(), lr=rate, betas=betas),
            "encoder": of_encoder(self.encoder.parameters(), self.config.encoder_learning_rate),
        }

    def _draw(self, count: int) -> Latents:
        device = next(self.parameters()).device
        return drawn_for_all(
            lambda images: torch.randn(images, self.config.latent, device=device), count
        )


def gradient_penalty(critic: nn.Module, real: Images, generated: Images) -> Loss:
    """Mean of (‖gradient of the critic‖ − 1)² at one random point between each pair of images.

    One share per image, and one norm over all its values; points, gradients and norms are float32
    in any precision.
    """
    ones = [1] * (real.ndim - 1)
    share = drawn_for_all(lambda count: torch.rand(count, *ones, device=real.device), len(real))
    between = (share * real + (1 - share) * generated).float().requires_grad_()
    verdicts = critic(between).float().sum()
    (gradient,) = torch.autograd.grad(verdicts, between, create_graph=True)
    norms: Tensor = gradient.flatten(1).norm(dim=1)
    return (norms - 1).square().mean()


def _mean_square(values: Tensor) -> Scores:
    return values.square().flatten(1).mean(dim=1)
