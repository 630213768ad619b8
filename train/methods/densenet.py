"""DenseNet121 with labels: anomalous is what looks like the abnormal images it was shown.

Huang et al., CVPR 2017, in MONAI's implementation: the supervised baseline that unsupervised
methods are measured against, with weights from ImageNet where a file of them is given, and one
linear layer on the mean of the last feature map (the study's "FC layers", as we read them). Its one
output is the logit of abnormal against normal: two outputs with a softmax are the same function.

Evidence is the class activation map (Zhou et al., CVPR 2016), Σ w_k · A_k over the last feature map
after its ReLU: with a linear head on a mean, that is what Grad-CAM (Selvaraju et al., ICCV 2017)
gives on that layer, times the number of its pixels, without a gradient and so exportable. It is cut
off at 0 before it is brought to the image's size, as Grad-CAM is. Coarse: 7×7 for 224 pixels.

The study's figures are for fundus photographs (AUROC 0.86); for head CT it has none. Measured on
head CT from random weights, 120 training and 40 validation images: test AUROC 0.915 [0.81, 0.98] at
224 pixels, ended by `patience` after 128 epochs. At 64 pixels, 22 epochs: validation AUROC 0.82
with momentum 0.9, 0.68 without. One epoch of two batches of 64 takes one thread 20 to 35 s at 224
pixels (7 GB of memory) and 1.3 s at 64, in bfloat16 on a processor that has instructions for it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from infer.errors import UnknownChoiceError
from train.bounds import Amount, Count, Rate, Seed, Whole
from train.methods.method import Findings, TrainingLoss
from train.networks.imagenet import load_imagenet
from train.precision import Device, Precision
from train.shapes import Images, Labels, Loss, Scores

UPSAMPLING = {2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DenseNetConfig:
    """The numbers of one DenseNet and its fit."""

    seed: Seed
    device: Device
    devices: Count  # data-parallel processes
    precision: Precision
    intensity_range: tuple[float, float]  # of the images, before their channels are standardised
    channel_mean: tuple[float, ...]  # subtracted from each channel; [] for none
    channel_std: tuple[float, ...]  # what each channel is then divided by; [] for none
    weights: str  # file of ImageNet weights; "" for none: the fit starts from random ones
    learning_rate: Rate
    momentum: Amount
    batch_size: Count
    epochs: Count
    patience: Whole  # epochs without a lower validation loss before the fit ends; 0: never
    validate_every: Count  # epochs

    def __post_init__(self) -> None:
        if len(self.channel_mean) != len(self.channel_std):
            raise ValueError("channel_mean and channel_std must be of equal length")
        if not all(spread > 0 for spread in self.channel_std):
            raise ValueError(f"channel_std must be above 0, got {list(self.channel_std)}")

    @property
    def records(self) -> int:
        return self.epochs


class DenseNet(nn.Module):
    """Features, mean, linear; evidence is where the linear layer's weights find "abnormal"."""

    class_weights: Tensor  # (normal, abnormal): the rarer counts more

    def __init__(self, config: DenseNetConfig, channels: int, image_size: tuple[int, ...]) -> None:
        super().__init__()
        if config.channel_mean and len(config.channel_mean) != channels:
            raise UnknownChoiceError(
                f"channel_mean has {len(config.channel_mean)} values for {channels} channels",
                hint="give one for each of data.channels, or [] for none",
            )
        self.config = config
        self.network = _densenet121(len(image_size), channels)
        self.register_buffer("class_weights", torch.ones(2))

    def begin(self, abnormal: Labels) -> None:
        """Weigh both classes alike, however many images each has; start from ImageNet if told to.

        Not in the constructor: a fitted model is rebuilt without its training images and without
        the file it once started from.
        """
        count = torch.stack([(~abnormal).sum(), abnormal.sum()])
        self.class_weights.copy_(len(abnormal) / (2 * count))
        if self.config.weights:
            load_imagenet(self.network.features, Path(self.config.weights))

    def training_loss(self, images: Images) -> TrainingLoss:
        """The loss where every image is normal."""
        return self.labelled_loss(
            images, torch.zeros(len(images), dtype=torch.bool, device=images.device)
        )

    def labelled_loss(self, images: Images, abnormal: Labels) -> TrainingLoss:
        """Cross entropy, weighted by class."""
        return TrainingLoss(self._cross_entropy(self.network(images)[:, 0], abnormal), {})

    def loss_of(self, findings: Findings, abnormal: Labels) -> Loss:
        """The same, of images that were looked at already."""
        return self._cross_entropy(findings.parts["logit"], abnormal)

    def findings(self, images: Images) -> Findings:
        """Class activation map as evidence, never below 0; logit and probability of abnormal."""
        activation = self._class_activation(images)
        logit = activation.flatten(1).mean(dim=1) + self.network.class_layers.out.bias
        evidence = functional.interpolate(
            torch.relu(activation),
            size=images.shape[2:],
            mode=UPSAMPLING[images.ndim - 2],
            align_corners=False,
        )
        return Findings(evidence, None, {"logit": logit, "probability": torch.sigmoid(logit)})

    def optimizers(self) -> dict[str, Optimizer]:
        """SGD, as in the study; with momentum (Huang et al.: 0.9), of which the study says nothing.

        Without it a rate of 1e-3 moves random weights ten times less in the few steps there are.
        """
        return {
            "model": torch.optim.SGD(
                self.parameters(),
                lr=self.config.learning_rate,
                momentum=self.config.momentum,
            )
        }

    def _class_activation(self, images: Images) -> Tensor:
        """Σ w_k · A_k over the last feature map, at its size; its mean, plus bias, is the logit."""
        features = torch.relu(self.network.features(images))
        weights = self.network.class_layers.out.weight
        activation: Tensor = torch.einsum("ok,bk...->bo...", weights, features)
        return activation

    def _cross_entropy(self, logits: Scores, abnormal: Labels) -> Loss:
        both = torch.stack([torch.zeros_like(logits), logits], dim=1).float()
        return functional.cross_entropy(both, abnormal.long(), weight=self.class_weights)


def _densenet121(spatial_dims: int, channels: int) -> Any:
    # Imported here: it takes three seconds, and every stage imports every method.
    from monai.networks.nets.densenet import DenseNet121

    return DenseNet121(spatial_dims=spatial_dims, in_channels=channels, out_channels=1)
