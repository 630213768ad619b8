"""Neighbours: what healthy images that look alike around a place do not show there is anomalous.

Nothing is learned by descent: the fit remembers training images, less their surroundings' mean. At
each place an image is compared with all of them, within a window; the more alike, the more they
count, and what they show on average is expected there (`train/networks/memory.py`). Evidence is the
distance from that mean in standard deviations of the same weighed images, the less the odder all is
around it. For scans that lie alike, as those registered to one template do.

Its file holds the images that it remembers, which can be redrawn from it: it may go only where they
may.

Chosen by a draft with 24 children who train and 11 held out, of the 36 of `healthy_t1` that do not
test: slice AUROC by the map's peak 0.88 with a window of 2 or 3 px, 0.85 of 6 px; 0.81 without
taking off the surroundings' mean; 0.72 for the distance to one mean image of each slice; 0.91 less
odd in odd company. On the nine who test 0.76, voxel AP 0.39; together with `fpi` 0.84 and
0.69 on one processor, 0.85 and 0.71 on another.
Head CT, for which none of these numbers was chosen: test AUROC of the 2×5 cross validation 0.932 ±
0.037, near-duplicates kept together 0.918 ± 0.026, blind 0.923 ± 0.030. A fit takes a second to a
minute on one thread of a shared machine.
"""

from dataclasses import dataclass
from typing import Literal

from torch.nn import functional
from torch.optim import Optimizer

from train.bounds import Count, Seed
from train.methods.method import Findings, TrainingLoss
from train.networks.memory import Memory, MemoryConfig
from train.precision import Device
from train.shapes import Images


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighboursConfig(MemoryConfig):
    """The numbers of one memory of healthy images, which is all there is."""

    seed: Seed
    device: Device
    devices: Count  # processes; each remembers the same
    precision: Literal["32-true"]  # differences of nearly equal images need all digits
    intensity_range: tuple[float, float]  # of the images, black and white
    batch_size: Count
    validate_every: Count

    @property
    def records(self) -> int:
        """One look at the training images is the whole fit."""
        return 1

    @property
    def aligned(self) -> bool:
        """It asks what is usual at a place of the whole image."""
        return True


class Neighbours(Memory):
    """A memory of healthy images, each asked at each place how far it is like what is seen."""

    def __init__(
        self, config: NeighboursConfig, channels: int, image_size: tuple[int, ...]
    ) -> None:
        super().__init__(config, channels, image_size, config.intensity_range)
        self.config = config

    def training_loss(self, images: Images) -> TrainingLoss:
        """Mean squared difference to what is expected: it falls as images are remembered."""
        expected = self.findings(images).reconstruction
        assert expected is not None
        return TrainingLoss(functional.mse_loss(expected, images), {})

    def findings(self, images: Images) -> Findings:
        """Standard deviations from what is expected, which is the reconstruction."""
        found = self.compare(images.double())
        return Findings(found.odd_in_company.float(), found.expected.float(), {})

    def optimizers(self) -> dict[str, Optimizer]:
        """None: nothing is learned by descent."""
        return {}
