"""What healthy images are like at each pixel, and how far an image is from that.

For scans that lie alike, as those registered to one template do: elsewhere, what stands at a pixel
is chance, and so is the distance.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from train.shapes import Images

DOUBT = 0.02  # share of the intensity range, added to every deviation: no pixel is beyond doubt
FARTHEST = 4.0  # standard deviations: what is farther is as far


class Atlas(nn.Module):
    """Images → as many images of distances: -1 is `FARTHEST` below the mean there, 1 above it."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, channels: int, image_size: tuple[int, ...], intensity_range: tuple[float, float]
    ) -> None:
        super().__init__()
        low, high = intensity_range
        self.doubt = DOUBT * (high - low)
        self.register_buffer("mean", torch.zeros(1, channels, *image_size))
        self.register_buffer("deviation", torch.ones(1, channels, *image_size))

    def forward(self, images: Images) -> Images:
        away = (images - self.mean) / (self.deviation + self.doubt)
        distances: Images = away.clamp(-FARTHEST, FARTHEST) / FARTHEST
        return distances

    @torch.no_grad()
    def draw(self, batches: Iterable[Tensor]) -> None:
        """Learn mean and standard deviation from healthy `Images`, some at a time."""
        count, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        squares = torch.zeros_like(total)
        for images in batches:
            count += len(images)
            total += images.double().sum(dim=0, keepdim=True)
            squares += images.double().square().sum(dim=0, keepdim=True)
        mean = total / count
        self.mean.copy_(mean)
        self.deviation.copy_((squares / count - mean.square()).clamp(min=0).sqrt())
