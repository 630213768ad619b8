"""Endless batches of training images: shuffled, augmented, in the method's intensity range."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from infer.patches import Patches
from train.patches import cut, random_patches
from train.prefetch import Prefetch
from train.seeding import in_common, own_share
from train.shapes import Images, Labels
from train.stored_images import StoredImages


def to_range(images: Images, intensity_range: tuple[float, float]) -> Images:
    """Prepared images, in [0, 1], in the range a method works in."""
    low, high = intensity_range
    return images * (high - low) + low


class ChannelScale(NamedTuple):
    """What is subtracted from each channel, in a method's range, and what it is then divided by.

    Both are empty for a method that takes channels as they are. What ships does the same:
    `infer.intensity.standardise`.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def standardised(self, images: Images) -> Images:
        """Images in the method's range, as its network takes them."""
        if not self.mean:
            return images
        return (images - _by_channel(self.mean, images)) / _by_channel(self.std, images)

    def undone(self, images: Images) -> Images:
        """Standardised images, in the method's range again."""
        if not self.mean:
            return images
        return images * _by_channel(self.std, images) + _by_channel(self.mean, images)


AS_THEY_ARE = ChannelScale()


def scale_of(config: Any) -> ChannelScale:
    """The scale a method's numbers ask for, if they ask for one."""
    mean, std = getattr(config, "channel_mean", ()), getattr(config, "channel_std", ())
    return ChannelScale(tuple(mean), tuple(std))


def _by_channel(values: Sequence[float], images: Images) -> Tensor:
    return images.new_tensor(values).reshape(-1, *[1] * (images.ndim - 2))


# How models lie in memory, by their spatial dimensions; see `channels_last`. Of volumes a processor
# gains nothing by it.
LAYOUTS = {2: torch.channels_last, 3: torch.contiguous_format}
PIXELS_AT_ONCE = 128 * 256 * 256


def at_once(size: Sequence[int]) -> int:
    """How many images of a size go through a model together where only memory counts.

    >>> at_once((256, 256)), at_once((32, 32)), at_once((64, 64, 64)), at_once((256, 256, 256))
    (128, 128, 32, 1)
    """
    return min(128, max(1, PIXELS_AT_ONCE // math.prod(size)))


def channels_last(images: Images) -> Images:
    """The same images, laid out as convolutions like them: a third faster on processors."""
    if images.ndim != 4:
        return images
    return images.contiguous(memory_format=torch.channels_last)


class Labelled(NamedTuple):
    """Images, and which of them are abnormal."""

    images: Images
    abnormal: Labels


class Batches(Iterator[Images]):
    """Batches without end and of one size; every image comes up equally often.

    Small sets do not fill whole batches: a batch may span two passes, so that none is partial.
    Where a network takes patches, one of each image is shown, another each time. Images may lie
    on the disk: those of a pass that has begun are read ahead. A pass is drawn when the one before
    it is used up and no sooner, so that what a model draws in between is the same either way.

    Where several processes fit one model, a batch is of all of them: each reads, changes and hands
    out its own share of the rows, and no other.
    Its state is `waiting` and torch's global generator.
    """

    def __init__(
        self,
        images: np.ndarray | StoredImages,
        batch_size: int,
        *,
        change: Callable[[Images], Images],
        intensity_range: tuple[float, float],
        device: torch.device,
        abnormal: np.ndarray | None = None,  # which of `images`; None: all are normal
        scale: ChannelScale = AS_THEY_ARE,
        patches: Patches | None = None,  # None: images are shown whole
    ) -> None:
        self.images = images
        self.batch_size = batch_size
        self.change = change
        self.intensity_range = intensity_range
        self.device = device
        self.scale = scale
        self.patches = patches
        none = np.zeros(len(images), bool)
        self.abnormal = torch.from_numpy(none if abnormal is None else abnormal)
        self.waiting = torch.empty(0, dtype=torch.int64)  # rows of the passes begun, not yet shown
        self._prefetch = Prefetch(images, pinned=device.type == "cuda")

    @property
    def per_epoch(self) -> int:
        """Batches that show every image about once."""
        return math.ceil(len(self.images) / self.batch_size)

    @property
    def waited(self) -> float:
        """Seconds, so far, that nothing could be done but wait for images."""
        return self._prefetch.waited

    def __next__(self) -> Tensor:
        return self.labelled().images

    def labelled(self) -> Labelled:
        """The next batch, for methods that learn from labels."""
        while len(self.waiting) < self.batch_size:
            with in_common():
                following = torch.randperm(len(self.images))
            self.waiting = torch.cat([self.waiting, following])
        batch, self.waiting = self.waiting[: self.batch_size], self.waiting[self.batch_size :]
        rows = batch[own_share(self.batch_size)]
        gathered = self._prefetch.take(rows, self._whole_batches())
        images = gathered.to(self.device, non_blocking=True)
        changed = self.change(images)
        if self.patches is not None:
            changed = random_patches(changed, self.patches.size)
        ranged = to_range(changed, self.intensity_range)
        taken = channels_last(self.scale.standardised(ranged))
        return Labelled(taken, self.abnormal[rows].to(self.device, non_blocking=True))

    def unchanged(self, count: int, rows: np.ndarray | None = None) -> Iterator[Images]:
        """Every training image as it is, or all its patches, from `count` images at a time.

        Args:
            rows: of the images; None: of all.
        """
        chosen = np.arange(len(self.images)) if rows is None else rows
        for start in range(0, len(chosen), count):
            images = torch.from_numpy(self.images[chosen[start : start + count]])
            taken = cut(images.to(self.device), self.patches)
            yield channels_last(to_range(taken, self.intensity_range))

    def _whole_batches(self) -> Iterator[Tensor]:
        """This process's rows of the batches to come that are known already."""
        end = len(self.waiting) // self.batch_size * self.batch_size
        for start in range(0, end, self.batch_size):
            yield self.waiting[start : start + self.batch_size][own_share(self.batch_size)]
