"""Healthy images remembered, each asked at each place how far it is like what is seen there.

The more alike, the more one counts, and what they show on average is expected there
(Nadaraya-Watson regression; as patches of a population are weighed in label fusion: Coupé et al.,
NeuroImage 2011). For scans that lie alike, as those registered to one template do: elsewhere, no
healthy image shows the same place.

Whatever file holds a memory holds the images, which can be redrawn from it.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from infer.errors import UnknownChoiceError
from train.bounds import Amount, Count, Rate
from train.networks.autoencoder import refuse_other_dims
from train.shapes import Images

WINDOWS = 2.5  # standard deviations, beyond which a Gaussian is cut off
LEAST = 1e-4  # share of the squared intensity range, added to the least distance: black is alike
SAME = 1e-6  # likewise: two images that differ by less, on average, are one
FAR = 1e9  # added to the distance of what is not asked


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryConfig:
    """The numbers of one memory of healthy images."""

    remembered: Count  # training images at most, evenly taken from all: the file's size
    cell_px: Count  # side of the squares whose pixels have one set of weights
    window_px: Rate  # Gaussian, standard deviation: how far around a place images are compared
    surroundings_px: Rate  # likewise: whose mean is taken off, and with it what varies slowly
    softness: Rate  # one farther than the nearest by this share of its distance counts 1/e of it
    doubt: Rate  # share of the intensity range: standard deviation of every place by itself
    company_px: Rate  # Gaussian: around a place, whose oddness makes the place itself less odd
    company_weight: Amount  # 0: however odd its company, a place counts in full


class Compared(NamedTuple):
    """What images look like beside those that are remembered."""

    odd: Images  # standard deviations from what is expected
    odd_in_company: Images  # the less the odder all is around a place
    expected: Images


class Memory(nn.Module):
    """A memory of healthy images, for methods that compare with them.

    An image that is remembered itself is looked at as if it were not: what is usual in training
    images, which some score recipes compare with, is so of new ones, too.
    """

    usual: Tensor  # (1, channel, height, width): mean of what is remembered
    memory: Tensor  # (image, channel, height, width), less their surroundings' mean and `usual`
    absent: Tensor  # (image): 1 where the memory holds none, of small training sets

    def __init__(
        self,
        numbers: MemoryConfig,
        channels: int,
        image_size: tuple[int, ...],
        intensity_range: tuple[float, float],
    ) -> None:
        super().__init__()
        refuse_other_dims(2, image_size)
        if any(side % numbers.cell_px for side in image_size):
            raise UnknownChoiceError(
                f"cell_px {numbers.cell_px} is not possible at image_size {list(image_size)}",
                hint="use one that divides both sides",
            )
        self.numbers = numbers
        low, high = intensity_range
        self.range = high - low
        self.grid = tuple(side // numbers.cell_px for side in image_size)
        self.window = Gaussian(numbers.window_px / numbers.cell_px, self.grid)
        self.surroundings = Gaussian(numbers.surroundings_px, image_size)
        self.company = Gaussian(numbers.company_px, image_size)
        self.register_buffer("usual", torch.zeros(1, channels, *image_size))
        self.register_buffer("memory", torch.zeros(numbers.remembered, channels, *image_size))
        self.register_buffer("absent", torch.ones(numbers.remembered))

    @torch.no_grad()
    def remember(self, images: Images) -> None:
        """Take these healthy images for the memory; at most `remembered` of them."""
        flat = images.double() - self.surroundings(images.double())
        # Of smaller numbers float32 keeps more.
        self.usual.copy_(flat.mean(dim=0, keepdim=True))
        self.memory.zero_()
        self.memory[: len(images)] = flat - self.usual
        self.absent.fill_(1.0)[: len(images)] = 0.0

    def compare(self, images: Images, *, kin: int = 0) -> Compared:
        """These images beside the memory, in their own precision.

        What cancels on the way leaves float32 too few digits for a model that is shipped.

        Args:
            kin: of what is remembered, as many are not asked as look most like an image by and
                large: as if they were of the same person. An image itself never is.
        """
        usual = self.surroundings(images) + self.usual
        cells, memory = self._cells(images - usual), self._cells(self.memory.to(images.dtype))
        weights = self._weights(cells, memory, kin)
        mean = weights @ memory
        # Of the memory's spread around that mean; rounding may leave it just below 0.
        variance = (weights @ memory.square() - mean.square()).clamp(min=0)
        # Added as a variance: a root near 0 would magnify what rounding leaves there.
        deviation = (variance + (self.numbers.doubt * self.range) ** 2).sqrt()
        odd = self._images((cells - mean) / deviation)
        # A head unlike all others is odd everywhere: that is no finding in any one place.
        company = 1 + self.numbers.company_weight * self.company(odd.square())
        return Compared(odd, odd / company.sqrt(), usual + self._images(mean))

    def _weights(self, cells: Tensor, memory: Tensor, kin: int) -> Tensor:
        """How much each remembered image counts (row, column, image, remembered), 1 in sum."""
        squares = cells.square().sum(dim=3)[..., None] + memory.square().sum(dim=3)[:, :, None]
        # The binomial formula: distances of all to all without a tensor of all differences.
        apart = (squares - 2 * cells @ memory.transpose(2, 3)).clamp(min=0) / cells.shape[3]
        unlike = apart.mean(dim=(0, 1)) + FAR * self.absent
        # Of a training image, what others show: itself it is always like.
        itself = unlike < SAME * self.range**2
        not_asked = itself | self._kin(unlike, kin) if kin else itself
        windowed = self.window.over_cells(apart) + FAR * (not_asked + self.absent)
        least = windowed.amin(dim=3, keepdim=True) + LEAST * self.range**2
        return torch.softmax(-windowed / (least * self.numbers.softness), dim=3)

    def _kin(self, unlike: Tensor, count: int) -> Tensor:
        """So many that are least unlike each image, but half of all at most: others must stay."""
        most = min(count, len(self.memory))
        nearest = unlike.topk(most, dim=1, largest=False).values
        present = (1 - self.absent).sum().long()
        taken = (present // 2).clamp(max=most)
        farthest = torch.cat([-torch.ones_like(nearest[:, :1]), nearest], dim=1)
        return unlike <= farthest.index_select(1, taken[None])

    def _cells(self, images: Images) -> Tensor:
        """Images as the pixels of each cell (row, column, image, pixel)."""
        side, (rows, columns) = self.numbers.cell_px, self.grid
        apart = images.unflatten(3, (columns, side)).unflatten(2, (rows, side))
        cells: Tensor = apart.permute(2, 4, 0, 1, 3, 5).flatten(3)
        return cells

    def _images(self, cells: Tensor) -> Images:
        """The pixels of cells in their places again."""
        side, channels = self.numbers.cell_px, self.memory.shape[1]
        apart = cells.unflatten(3, (channels, side, side)).permute(2, 3, 0, 4, 1, 5)
        images: Images = apart.flatten(4, 5).flatten(2, 3)
        return images


class Gaussian(nn.Module):
    """Blur two axes; beyond the border everything is as on it.

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
        """The last two axes of `planes` (…, height, width), in their own precision."""
        down, across = self.down.to(planes.dtype), self.across.to(planes.dtype)
        blurred: Tensor = down @ planes @ across.T
        return blurred

    def over_cells(self, cells: Tensor) -> Tensor:
        """The first two axes of `cells` (row, column, …), likewise.

        As they lie in memory, for to turn them over copies distances of all to all.
        """
        down, across = self.down.to(cells.dtype), self.across.to(cells.dtype)
        columns = (down @ cells.flatten(1)).unflatten(1, cells.shape[1:])
        blurred: Tensor = (across @ columns.flatten(2)).unflatten(2, cells.shape[2:])
        return blurred


def _blurring(deviation: float, length: int) -> Tensor:
    """What each of `length` blurred values is made of (blurred, value), float64."""
    reach = math.ceil(WINDOWS * deviation)
    steps = torch.arange(-reach, reach + 1)
    taps = torch.exp(-steps.double().square() / (2 * deviation**2))
    taken = (torch.arange(length)[:, None] + steps).clamp(0, length - 1)
    blurring = torch.zeros(length, length, dtype=torch.float64)
    return blurring.scatter_add_(1, taken, (taps / taps.sum()).expand(length, -1))
