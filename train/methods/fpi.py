"""Foreign patch interpolation: what looks planted into a healthy image is anomalous.

Tan, Hou, Batten, Qiu, Kainz, "Detecting Outliers with Foreign Patch Interpolation", MELBA 2022,
which won the MOOD challenge of 2020: patches of other healthy images are blended into healthy ones,
and a network says of each pixel how much of it is foreign. Here a U-Net, and by parameter further
pseudo-anomalies, as later entries of that challenge had them (Cho, Kang, Park, 2021: spots,
deformations, grains, blur). It says where, and redraws nothing.

Evidence is ln(1 + o / r), o being the odds that a pixel was planted, r = 0.018 those that the fit
starts from: 0 where planting is out of the question, 0.7 at r, 4.0 at odds of 1. Never below 0, so
a recipe of dark residuals finds nothing; and no probability, since those of lesions differ in the
digits behind 0.999 only.

With `mirror`, each image is seen beside its mirror image, and what is said of both is averaged: of
anatomy nearly the same on either side, two looks instead of one (voxel AP of validation 0.63 →
0.69 in T1 slices).

With `atlas`, it also sees how far each pixel lies from what the training images have there, in
standard deviations: for scans that lie alike, as those registered to one template do.

`fpi-neighbours`, a variant, also sees how odd each place is beside remembered training images
(`train/networks/memory.py`), of which those that look most like an image are not asked in training:
the image itself and some of its person's slices are there, as nobody who is tested has any. (Of 16
not asked, a third to a half were of the same child in T1 slices; a child's others are asked. And
`findings` ask all, so training images look a little too usual to the score recipes that compare
with those.) Its file holds what it remembers, and may go only where those images may. In T1 slices
it arrives on validation where `fpi` does (0.935) in three quarters of the steps, behind it on the
test (0.79, voxel AP 0.62): for fits that must be short.

Measured: fundus photographs by quality, planted blur, spots and grain, test AUROC 0.967 ± 0.021 of
ten results (sharpness itself has 0.941). BraTS FLAIR, planted bright spots, a prior of brightness
and the mask at even odds: mean Dice of six patients 0.828, voxel AP 0.894 (a threshold on intensity
0.807 and 0.832). Planted anomalies in healthy T1 slices, each seen beside its mirror image, most of
them as sharp as scans come: slice AUROC by the map's peak 0.80 to 0.85, voxel AP 0.64 to 0.69,
with and without an atlas (`vae` 0.68, 0.30). Fits took 2 to 87 minutes on one thread of a shared
machine: docs/studies.md.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.nn import functional
from torch.optim import Optimizer

from train.bounds import Amount, Count, Rate, Seed
from train.methods.method import Findings, TrainingLoss
from train.networks.atlas import Atlas
from train.networks.autoencoder import refuse_other_dims
from train.networks.memory import Memory, MemoryConfig
from train.networks.unet import UNet, UNetShape
from train.precision import Device, Precision
from train.pseudo_anomalies import PseudoAnomaliesConfig, plant_pseudo_anomalies
from train.shapes import Images, Outputs

RARE = -4.0  # logarithm of the odds 0.018
# Standard deviations that a memory's oddness is divided by, and more than which it never is then.
ODD, ODD_IN_COMPANY, ODDEST = 4.0, 2.0, 2.0
AXES = {"columns": -1, "rows": -2}  # of an image


@dataclass(frozen=True, slots=True, kw_only=True)
class FpiConfig:
    """The numbers of one detector of pseudo-anomalies and its fit."""

    seed: Seed
    device: Device
    devices: Count  # data-parallel processes
    precision: Precision
    intensity_range: tuple[float, float]  # of the images, black and white
    anomalies: PseudoAnomaliesConfig  # what it learns to find
    width: Count  # channels at full size
    levels: Count  # halvings
    bottleneck: Count  # channels at the smallest size
    spatial_dims: Literal[2, 3]  # 2: slices; 3: whole volumes, or patches of them
    mirror: Literal["none", "columns", "rows"]  # also sees each image with these in reversed order
    atlas: bool  # also sees how far each pixel is from what training images have there
    learning_rate: Rate
    weight_decay: Amount
    batch_size: Count
    epochs: Count
    validate_every: Count  # epochs

    @property
    def records(self) -> int:
        return self.epochs

    @property
    def aligned(self) -> bool:
        """Whether it asks what is usual at a place of the whole image."""
        return self.atlas


@dataclass(frozen=True, slots=True, kw_only=True)
class KinConfig(MemoryConfig):
    """The numbers of a memory of healthy images, and who in it is kin."""

    kin: Count  # in training, as many are not asked as look most like an image, itself among them


@dataclass(frozen=True, slots=True, kw_only=True)
class FpiNeighboursConfig(FpiConfig):
    """The numbers of one that also compares with remembered images."""

    spatial_dims: Literal[2]  # slices
    neighbours: KinConfig

    @property
    def aligned(self) -> bool:
        """It asks what is usual at a place of the whole image."""
        return True


class Fpi(nn.Module):
    """A U-Net that says of each pixel whether it was planted."""

    further = 0  # images that it also sees, for each channel

    def __init__(self, config: FpiConfig, channels: int, image_size: tuple[int, ...]) -> None:
        super().__init__()
        refuse_other_dims(config.spatial_dims, image_size)
        self.config = config
        self.atlas = Atlas(channels, image_size, config.intensity_range) if config.atlas else None
        shape = UNetShape(
            channels=channels * (1 + (config.mirror in AXES) + config.atlas + self.further),
            image_size=image_size,
            width=config.width,
            levels=config.levels,
            bottleneck=config.bottleneck,
            skips=True,
            outputs=1,
        )
        self.network = UNet(shape)
        if len(image_size) == 2:
            # Channels last: a step on a processor takes two thirds of the time.
            self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Almost nothing is planted: the fit need not begin by learning that.
        if self.network.last.bias is not None:
            nn.init.constant_(self.network.last.bias, RARE)

    def training_loss(self, images: Images) -> TrainingLoss:
        """Cross entropy, of each pixel, between how much of it was planted and what is said."""
        config = self.config
        with torch.autocast(images.device.type, enabled=False):  # the same in every precision
            planted = plant_pseudo_anomalies(images, config.anomalies, config.intensity_range)
        logits = self.network(self._seen(planted.images, training=True)).float()
        return TrainingLoss(
            functional.binary_cross_entropy_with_logits(logits, planted.share.float()), {}
        )

    def findings(self, images: Images) -> Findings:
        """Odds as above, no reconstruction, and the bottleneck's channels; no further parts."""
        logits, bottom = self.network.look(self._seen(images))
        if self.config.mirror != "none":
            axis = AXES[self.config.mirror]
            turned, _ = self.network.look(self._seen(images.flip(axis)))
            logits = (logits + turned.flip(axis)) / 2
        return Findings(functional.softplus(logits.float() - RARE), None, {}, bottom.float())

    def evidence_at(self, odds: float) -> float:
        """See above; odds above 0."""
        return math.log1p(odds / math.exp(RARE))

    def _seen(self, images: Images, *, training: bool = False) -> Outputs:
        """What the network is shown (batch, all that is seen of each channel, *spatial).

        Args:
            training: for a loss. What is seen here is the same either way; see `FpiNeighbours`.
        """
        seen = [images]
        if self.config.mirror != "none":
            seen.append(images.flip(AXES[self.config.mirror]))
        if self.atlas is not None:
            seen.append(self.atlas(images))
        return torch.cat(seen, dim=1)

    def optimizers(self) -> dict[str, Optimizer]:
        """Adam on everything."""
        return {
            "model": torch.optim.AdamW(
                self.parameters(),
                lr=self.config.learning_rate,
                weight_decay=self.config.weight_decay,
            )
        }


class FpiNeighbours(Fpi):
    """One that also sees how odd each place is beside remembered images."""

    further = 2

    def __init__(
        self, config: FpiNeighboursConfig, channels: int, image_size: tuple[int, ...]
    ) -> None:
        super().__init__(config, channels, image_size)
        self.kin = config.neighbours.kin
        self.memory = Memory(config.neighbours, channels, image_size, config.intensity_range)

    def _seen(self, images: Images, *, training: bool = False) -> Outputs:
        # Whom it is fitted to it remembers, so a loss looks past who is most alike. It also does
        # without the digits that torch and ONNX Runtime must agree in.
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            if training:
                found = self.memory.compare(images.float(), kin=self.kin)
            else:
                found = self.memory.compare(images.double())
        seen = [super()._seen(images, training=training)]
        for odd, unit in ((found.odd_in_company, ODD_IN_COMPANY), (found.odd, ODD)):
            seen.append((odd / unit).clamp(-ODDEST, ODDEST).float())
        return torch.cat(seen, dim=1)
