"""Neighbours: what healthy images that look alike around a place do not show there is anomalous.

Nothing is learned by descent: the fit remembers training images, less their surroundings' mean. At
each place an image is compared with all of them, within a window; the more alike, the more they
count, and what they show on average is expected there (Nadaraya-Watson regression; as patches of a
population are weighed in label fusion: Coupé et al., NeuroImage 2011). Evidence is the distance
from that mean in standard deviations of the same weighed images, the less the odder all is around
it. For scans that lie alike, as those registered to one template do: elsewhere, no healthy image
shows the same place.

Its file holds the images that it remembers, which can be redrawn from it: it may go only where they
may.

Chosen by a draft with 24 children who train and 11 held out, of the 36 of `healthy_t1` that do not
test: slice AUROC by the map's peak 0.88 with a window of 2 or 3 px, 0.85 of 6 px; 0.81 without
taking off the surroundings' mean; 0.72 for the distance to one mean image of each slice; 0.91 less
odd in odd company. On the nine who test 0.76, voxel AP 0.39; together with `fpi` 0.84 and 0.69.
Head CT, for which none of these numbers was chosen: test AUROC of the 2×5 cross validation 0.932 ±
0.037, near-duplicates kept together 0.918 ± 0.026, blind 0.923 ± 0.030. A fit takes a second to a
minute on one thread of a shared machine.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from infer.errors import UnknownChoiceError
from train.bounds import Amount, Count, Rate, Seed
from train.methods.method import Findings, TrainingLoss
from train.networks.autoencoder import refuse_other_dims
from train.precision import Device
from train.shapes import Images

WINDOWS = 2.5  # standard deviations, beyond which a Gaussian is cut off
LEAST = 1e-4  # share of the squared intensity range, added to the least distance: black is alike
SAME = 1e-6  # likewise: two images that differ by less, on average, are one
FAR = 1e9  # added to the distance of what is not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighboursConfig:
    """The numbers of one memory of healthy images."""

    seed: Seed
    device: Device
    devices: Count  # processes; each remembers the same
    precision: Literal["32-true"]  # differences of nearly equal images need all digits
    intensity_range: tuple[float, float]  # of the images, black and white
    remembered: Count  # training images at most, evenly taken from all: the file's size
    cell_px: Count  # side of the squares whose pixels have one set of weights
    window_px: Rate  # Gaussian, standard deviation: how far around a place images are compared
    surroundings_px: Rate  # likewise: whose mean is taken off, and with it what varies slowly
    softness: Rate  # one farther than the nearest by this share of its distance counts 1/e of it
    doubt: Rate  # share of the intensity range: standard deviation of every place by itself
    company_px: Rate  # Gaussian: around a place, whose oddness makes the place itself less odd
    company_weight: Amount  # 0: however odd its company, a place counts in full
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


class Neighbours(nn.Module):
    """A memory of healthy images, each asked at each place how far it is like what is seen.

    An image that is remembered itself is looked at as if it were not: what is usual in training
    images, which some score recipes compare with, is so of new ones, too.
    """

    usual: Tensor  # (1, channel, height, width): mean of what is remembered
    memory: Tensor  # (image, channel, height, width), less their surroundings' mean and `usual`
    absent: Tensor  # (image): 1 where the memory holds none, of small training sets

    def __init__(
        self, config: NeighboursConfig, channels: int, image_size: tuple[int, ...]
    ) -> None:
        super().__init__()
        refuse_other_dims(2, image_size)
        if any(side % config.cell_px for side in image_size):
            raise UnknownChoiceError(
                f"cell_px {config.cell_px} is not possible at image_size {list(image_size)}",
                hint="use one that divides both sides",
            )
        self.config = config
        low, high = config.intensity_range
        self.range = high - low
        self.grid = tuple(side // config.cell_px for side in image_size)
        self.window = Gaussian(config.window_px / config.cell_px, self.grid)
        self.surroundings = Gaussian(config.surroundings_px, image_size)
        self.company = Gaussian(config.company_px, image_size)
        self.register_buffer("usual", torch.zeros(1, channels, *image_size))
        self.register_buffer("memory", torch.zeros(config.remembered, channels, *image_size))
        self.register_buffer("absent", torch.ones(config.remembered))

    @torch.no_grad()
    def remember(self, images: Images) -> None:
        """Take these healthy images for the memory; at most `remembered` of them."""
        flat = images.double() - self.surroundings(images.double())
        # Of smaller numbers float32 keeps more.
        self.usual.copy_(flat.mean(dim=0, keepdim=True))
        self.memory.zero_()
        self.memory[: len(images)] = flat - self.usual
        self.absent.fill_(1.0)[: len(images)] = 0.0

    def training_loss(self, images: Images) -> TrainingLoss:
        """Mean squared difference to what is expected: it falls as images are remembered."""
        expected = self.findings(images).reconstruction
        assert expected is not None
        return TrainingLoss(functional.mse_loss(expected, images), {})

    def findings(self, images: Images) -> Findings:
        """Standard deviations from what is expected, which is the reconstruction.

        In float64: what cancels on the way would leave float32 too few digits.
        """
        exact = images.double()
        usual = self.surroundings(exact) + self.usual
        cells, memory = self._cells(exact - usual), self._cells(self.memory.double())
        weights = self._weights(cells, memory)
        mean = weights @ memory
        # Of the memory's spread around that mean; rounding may leave it just below 0.
        variance = (weights @ memory.square() - mean.square()).clamp(min=0)
        # Added as a variance: a root near 0 would magnify what rounding leaves there.
        deviation = (variance + (self.config.doubt * self.range) ** 2).sqrt()
        odd = self._images((cells - mean) / deviation)
        # A head unlike all others is odd everywhere: that is no finding in any one place.
        company = 1 + self.config.company_weight * self.company(odd.square())
        expected = usual + self._images(mean)
        return Findings((odd / company.sqrt()).float(), expected.float(), {})

    def optimizers(self) -> dict[str, Optimizer]:
        """None: nothing is learned by descent."""
        return {}

    def _weights(self, cells: Tensor, memory: Tensor) -> Tensor:
        """How much each remembered image counts (row, column, image, remembered), 1 in sum."""
        squares = cells.square().sum(dim=3)[..., None] + memory.square().sum(dim=3)[:, :, None]
        # The binomial formula: distances of all to all without a tensor of all differences.
        apart = (squares - 2 * cells @ memory.transpose(2, 3)) / cells.shape[3]
        planes = apart.clamp(min=0).permute(2, 3, 0, 1)
        # Of a training image, what others show: itself it is always like.
        itself = planes.mean(dim=(2, 3), keepdim=True) < SAME * self.range**2
        windowed = self.window(planes) + FAR * (itself + self.absent[:, None, None])
        least = windowed.amin(dim=1, keepdim=True) + LEAST * self.range**2
        return torch.softmax(-windowed / (least * self.config.softness), dim=1).permute(2, 3, 0, 1)

    def _cells(self, images: Images) -> Tensor:
        """Images as the pixels of each cell (row, column, image, pixel)."""
        side, (rows, columns) = self.config.cell_px, self.grid
        apart = images.unflatten(3, (columns, side)).unflatten(2, (rows, side))
        cells: Tensor = apart.permute(2, 4, 0, 1, 3, 5).flatten(3)
        return cells

    def _images(self, cells: Tensor) -> Images:
        """The pixels of cells in their places again."""
        side, channels = self.config.cell_px, self.memory.shape[1]
        apart = cells.unflatten(3, (channels, side, side)).permute(2, 3, 0, 4, 1, 5)
        images: Images = apart.flatten(4, 5).flatten(2, 3)
        return images


class Gaussian(nn.Module):
    """Blur the last two axes; beyond the border everything is as on it.

    By matrices, for processors' convolutions in ONNX Runtime know no float64.
    """

    down: Tensor
    across: Tensor

    def __init__(self, deviation: float, size: tuple[int, ...]) -> None:
        super().__init__()
        # Not in the checkpoint: they follow from the numbers.
        for name, length in zip(("down", "across"), size, strict=True):
            self.register_buffer(name, _blurring(deviation, length), persistent=False)

    def forward(self, planes: Tensor) -> Tensor:
        """`planes` (…, height, width) in float64."""
        blurred: Tensor = self.down @ planes @ self.across.T
        return blurred


def _blurring(deviation: float, length: int) -> Tensor:
    """What each of `length` blurred values is made of (blurred, value), float64."""
    reach = math.ceil(WINDOWS * deviation)
    steps = torch.arange(-reach, reach + 1)
    taps = torch.exp(-steps.double().square() / (2 * deviation**2))
    taken = (torch.arange(length)[:, None] + steps).clamp(0, length - 1)
    blurring = torch.zeros(length, length, dtype=torch.float64)
    return blurring.scatter_add_(1, taken, (taps / taps.sum()).expand(length, -1))
