"""What every method must offer: one promise for fitting, one for finding."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from train.shapes import Evidence, Images, Labels, Latents, Loss, Scores


class TrainingLoss(NamedTuple):
    """The number to minimise, and the terms it is made of where there are several."""

    total: Loss
    terms: dict[str, Loss]  # by name, as they are to be logged; {} for a loss of one term


class Findings(NamedTuple):
    """What a model says of a batch of images, before a score recipe is chosen."""

    evidence: Evidence  # signed: above 0 where the image is brighter than the model expects
    reconstruction: Images | None  # None where a method has none
    parts: dict[str, Scores]  # further scores of the method's own, by name; larger is odder
    code: Latents | None = None  # an image in few numbers; None where a method has none


@runtime_checkable
class AnomalyModel(Protocol):
    """A `torch.nn.Module` with these three methods; all are free of mode and hidden state."""

    def training_loss(self, images: Images) -> TrainingLoss:
        """What to minimise, mean over the batch."""
        ...

    def findings(self, images: Images) -> Findings:
        """Deterministic in eval mode, and the same for an image whatever its neighbours."""
        ...

    def state_dict(self) -> dict[str, Tensor]: ...


@runtime_checkable
class TellsOdds(Protocol):
    """A model whose evidence says how likely it is that a pixel is anomalous."""

    def evidence_at(self, odds: float) -> float:
        """What evidence is where an anomaly is `odds` times as likely as none."""
        ...


@runtime_checkable
class LabelledModel(AnomalyModel, Protocol):
    """One that also learns what abnormal looks like; `training_loss` takes all as normal."""

    def labelled_loss(self, images: Images, abnormal: Labels) -> TrainingLoss:
        """What to minimise, mean over the batch."""
        ...

    def loss_of(self, findings: Findings, abnormal: Labels) -> Loss:
        """The same of findings, which a look at validation images has already."""
        ...

    def begin(self, abnormal: Labels) -> None:
        """Before the first step of a fit: learn how many of the training images are abnormal."""
        ...
