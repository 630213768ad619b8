"""What every method must offer: one promise for fitting, one for finding."""

from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from train.shapes import Evidence, Images, Loss, Scores


class TrainingLoss(NamedTuple):
    """The number to minimise, and the terms it is made of where there are several."""

    total: Loss
    terms: dict[str, Loss]  # by name, as they are to be logged; {} for a loss of one term


class Findings(NamedTuple):
    """What a model says of a batch of images, before a score recipe is chosen."""

    evidence: Evidence  # signed: above 0 where the image is brighter than the model expects
    reconstruction: Images | None  # None where a method has none
    parts: dict[str, Scores]  # further scores of the method's own, by name; larger is odder


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
