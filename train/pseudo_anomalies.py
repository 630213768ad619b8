"""Plant pseudo-anomalies into healthy images, and say where: what a detector learns to find.

After foreign patch interpolation (Tan et al., MELBA 2022) and its successors in the MOOD challenge:
in a soft irregular blob something else is blended in, a brighter or darker spot, a patch of another
image or of elsewhere in the same one, a deformation, grains, blur. No abnormal image is needed.

Pure functions: the images given stay as they are, chance is torch's global generator on their
device, and what comes back lies in the same intensity range.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from train.corruption import (
    LesionsConfig,
    blobs,
    cells_of,
    coarse_waves,
    slice_side,
    tissue_in,
)
from train.shapes import Images, Maps

TEXTURE_CELLS = 8  # across a slice: how coarse the waves of a spot's brightness are
SWIRL = (0.3 * math.pi, math.pi)  # radians, in the middle
BULGE = (0.3, 0.9)  # what is lost of distances from the middle, in the middle
SHIFT = (0.1, 0.4)  # share of the image along each axis: from how far a moved patch comes
GRAINS = (1, 3)  # pixels across
BLUR = (0.01, 0.05)  # width of the filter, share of a slice's shortest side
FAINT = 0.1  # of a blob: less is outside it
HALF = 0.5  # of a blob: more is its inside


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudoAnomaliesConfig:
    """What is planted; a pair is a range that each anomaly draws from."""

    kinds: tuple[str, ...]  # of `KINDS`; each anomaly draws one
    blobs: LesionsConfig  # how many, how large, of which outline; of spots, the contrast
    polarity: Literal["either", "bright", "dark"]  # of spots
    texture: float  # of spots: how much their contrast varies within, as a share of it
    opacity: tuple[float, float]  # of all others: 1 replaces what was there
    least_change: float  # share of the intensity range; what changes less is no anomaly

    def __post_init__(self) -> None:
        if strange := [kind for kind in self.kinds if kind not in KINDS]:
            raise ValueError(f"kind {strange[0]!r} is unknown: use {', '.join(KINDS)}")
        if not self.kinds or len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds must name at least one kind, and none twice")
        if not 0 < self.opacity[0] <= self.opacity[1] <= 1:
            raise ValueError(f"opacity must be a range in (0, 1], got {list(self.opacity)}")
        for name in ("texture", "least_change"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")


class PseudoAnomalies(NamedTuple):
    """Images with anomalies in them."""

    images: Images
    share: Maps  # 1 inside an anomaly, 0 outside all of them, between at their soft edge


class Site(NamedTuple):
    """Images and the one place in each of them that is to become abnormal."""

    images: Images
    others: Images  # as many; which of them belongs to which image is chance
    inside: Maps  # 1 in the middle of the place, 0 far away
    span: float  # of the intensity range
    config: PseudoAnomaliesConfig
    alone: bool  # there is one image, so that the other is itself

    def of(self, which: Tensor) -> "Site":
        """Some of the images only."""
        return self._replace(
            images=self.images[which], others=self.others[which], inside=self.inside[which]
        )


def plant_pseudo_anomalies(
    images: Images, config: PseudoAnomaliesConfig, intensity_range: tuple[float, float]
) -> PseudoAnomalies:
    """Images with so many anomalies each as `config.blobs.count` says, and where they lie.

    What is blended in may be like what was there, grey in grey: an anomaly that on average changes
    less than `least_change` is left out, of the image and of `share`.
    """
    low, high = intensity_range
    tissue = tissue_in(images, intensity_range)
    fewest, most = config.blobs.count
    wanted = torch.randint(fewest, most + 1, (len(images),), device=images.device)
    planted, share = images, torch.zeros_like(images[:, :1])
    for number in range(most):
        present = (number < wanted).view(-1, *[1] * (images.ndim - 1))
        inside = present * blobs(tissue, config.blobs)
        site = Site(planted, _others(planted), inside, high - low, config, len(images) == 1)
        changed = _changed(site).clamp(low, high)
        noticed = _noticed(changed - planted, site)
        planted = torch.where(noticed, changed, planted)
        share = torch.maximum(share, inside * noticed)
    return PseudoAnomalies(planted, share)


def _others(images: Images) -> Images:
    """For each image another one, by chance; of one image alone, itself."""
    ring = torch.randperm(len(images), device=images.device)
    others = torch.empty_like(ring)
    others[ring] = ring.roll(1)
    return images[others]


def _changed(site: Site) -> Images:
    """The images with what each of them has drawn in its place."""
    drawn = torch.randint(len(site.config.kinds), (len(site.images),), device=site.images.device)
    changed = site.images.clone()
    for number, kind in enumerate(site.config.kinds):
        which = (drawn == number).nonzero().squeeze(1)
        if len(which):
            changed[which] = KINDS[kind](site.of(which)).to(changed.dtype)
    return changed


def _noticed(change: Images, site: Site) -> Tensor:
    """Whether a blob changed enough on average inside (batch, 1, *1)."""
    inside = (site.inside > HALF).float()
    size = change.abs().amax(dim=1, keepdim=True) * inside
    axes = tuple(range(1, change.ndim))
    mean = size.sum(dim=axes, keepdim=True) / inside.sum(dim=axes, keepdim=True).clamp(min=1)
    enough: Tensor = (mean >= site.config.least_change * site.span) & (mean > 0)
    return enough


def _spot(site: Site) -> Images:
    """Brighter or darker, in each channel by its own contrast, more here and less there."""
    images, config = site.images, site.config
    each = (*images.shape[:2], *[1] * (images.ndim - 2))
    contrast = site.span * _between(config.blobs.contrast, images, each)
    if config.polarity == "dark":
        contrast = -contrast
    elif config.polarity == "either":
        contrast = contrast * (torch.randint(2, each, device=images.device) * 2 - 1)
    cells = cells_of(images.shape[2:], TEXTURE_CELLS)
    waves = coarse_waves(tuple(images.shape), cells, images.device)
    return images + site.inside * contrast * (1 + config.texture * waves)


def _foreign(site: Site) -> Images:
    """What stands there in another image; a batch of one has none: elsewhere in this one."""
    if site.alone:
        return _moved(site)
    return _blended(site, site.others)


def _moved(site: Site) -> Images:
    """What stands elsewhere in the same image."""
    spatial = site.images.ndim - 2
    shifts = _between(SHIFT, site.images, (len(site.images), spatial))
    signs = torch.randint(2, shifts.shape, device=shifts.device) * 2 - 1
    # Coordinates go from -1 to 1: the image's length is 2.
    moves = (2 * shifts * signs).view(len(shifts), *[1] * spatial, spatial)
    places = _places(site.images) + moves
    return _blended(site, _seen_at(site.images, places))


def _mirrored(site: Site) -> Images:
    """Turned over along one axis, about the middle of the place."""
    spatial = site.images.ndim - 2
    offsets, centre, _ = _around(site)
    chosen = torch.randint(spatial, (len(site.images),), device=site.images.device)
    sides = 1 - 2 * functional.one_hot(chosen, spatial).to(centre.dtype)
    turned = [
        offset * _per_pixel(side, spatial) for offset, side in zip(offsets, sides.T, strict=True)
    ]
    return _blended(site, _seen_around(centre, turned, site))


def _swirled(site: Site) -> Images:
    """Turned about its middle, the more the nearer, in the plane of the last two axes."""
    offsets, centre, distances = _around(site)
    each = (len(distances), *[1] * (distances.ndim - 1))
    most = _between(SWIRL, site.images, each)
    most = most * (torch.randint(2, each, device=most.device) * 2 - 1)
    angle = most * (1 - distances).clamp(min=0)
    one, other, *rest = offsets
    turned = [
        torch.cos(angle) * one - torch.sin(angle) * other,
        torch.sin(angle) * one + torch.cos(angle) * other,
        *rest,
    ]
    return _blended(site, _seen_around(centre, turned, site))


def _bulged(site: Site) -> Images:
    """Enlarged in the middle, which pushes what is around it together."""
    offsets, centre, distances = _around(site)
    each = (len(distances), *[1] * (distances.ndim - 1))
    near = (1 - distances**2).clamp(min=0)
    nearer = 1 - _between(BULGE, site.images, each) * near
    return _blended(site, _seen_around(centre, [offset * nearer for offset in offsets], site))


def _grainy(site: Site) -> Images:
    """Grains, as much brighter as darker."""
    images = site.images
    low, high = GRAINS
    across = int(torch.randint(low, high + 1, ()))
    cells = [max(1, size // across) for size in images.shape[2:]]
    grains = coarse_waves(tuple(images.shape), cells, images.device)
    each = (*images.shape[:2], *[1] * (images.ndim - 2))
    contrast = site.span * _between(site.config.blobs.contrast, images, each)
    return images + site.inside * contrast * grains.clamp(-1, 1)


def _blurred(site: Site) -> Images:
    """Out of focus."""
    images = site.images
    low, high = BLUR
    sigma = (low + (high - low) * float(torch.rand(()))) * slice_side(images.shape[2:])
    blurred = images
    for axis in range(2, images.ndim):
        blurred = _blurred_along(blurred, axis, sigma)
    return _blended(site, blurred)


def _blurred_along(images: Images, axis: int, sigma: float) -> Images:
    """By a gaussian, whose tails end after three widths."""
    reach = max(1, min(math.ceil(3 * sigma), images.shape[axis] - 1))
    steps = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    lines = images.movedim(axis, -1)
    padded = functional.pad(lines.flatten(0, -2).unsqueeze(1), (reach, reach), mode="replicate")
    summed = functional.conv1d(padded, (weights / weights.sum()).view(1, 1, -1))
    blurred: Images = summed.squeeze(1).unflatten(0, lines.shape[:-1]).movedim(-1, axis)
    return blurred


def _blended(site: Site, instead: Images) -> Images:
    each = (len(site.images), *[1] * (site.images.ndim - 1))
    opacity = _between(site.config.opacity, site.images, each)
    return torch.lerp(site.images, instead.to(site.images.dtype), site.inside * opacity)


def _around(site: Site) -> tuple[list[Tensor], Tensor, Tensor]:
    """Of each pixel: its offset from the place's middle along each axis, x first, in halves of the
    longest side (each batch, *spatial), that middle in the coordinates of `grid_sample` (batch,
    axis), and the distance in radii of the place (batch, *spatial).

    Axis by axis: a last dimension of two or three numbers takes several times as long.
    """
    inside, spatial = site.inside.squeeze(1), site.images.ndim - 2
    axes = _axes(site.images)
    centre = _middle(inside, axes)
    grids = torch.meshgrid(*reversed(axes), indexing="ij")[::-1]
    offsets = [
        (grid - _per_pixel(at, spatial)) * side
        for grid, at, side in zip(grids, centre.T, _proportions(site.images), strict=True)
    ]
    distances = torch.stack(offsets).norm(dim=0)
    inner = tuple(range(1, 1 + spatial))
    radius = (distances * (inside > FAINT)).amax(dim=inner, keepdim=True).clamp(min=1e-3)
    return offsets, centre, distances / radius


def _middle(inside: Tensor, axes: list[Tensor]) -> Tensor:
    """The mean place along each axis (batch, axis): on a grid, that of what lies at each step."""
    spatial, found = len(axes), []
    for number, axis in enumerate(axes):
        others = [-1 - it for it in range(spatial) if it != number]
        share = inside.sum(dim=others) + torch.finfo(inside.dtype).tiny
        found.append((share * axis).sum(dim=1) / share.sum(dim=1))
    return torch.stack(found, dim=1)


def _seen_around(centre: Tensor, offsets: list[Tensor], site: Site) -> Images:
    """What is seen at other offsets, as `_around` has them, than a pixel's own."""
    spatial, sides = len(offsets), _proportions(site.images)
    places = [
        _per_pixel(at, spatial) + offset / side
        for at, offset, side in zip(centre.T, offsets, sides, strict=True)
    ]
    return _seen_at(site.images, torch.stack(places, dim=-1))


def _proportions(images: Images) -> list[float]:
    """Each side as a share of the longest, x first: without it, thin volumes would be cubes."""
    sides = images.shape[:1:-1]
    return [side / max(sides) for side in sides]


def _axes(images: Images) -> list[Tensor]:
    """Where pixels lie along each axis in the coordinates of `grid_sample`, x first."""
    return [
        (2 * torch.arange(size, device=images.device, dtype=torch.float32) + 1) / size - 1
        for size in images.shape[:1:-1]
    ]


def _places(images: Images) -> Tensor:
    """Where each pixel lies in the coordinates of `grid_sample` (1, *spatial, axis), x first."""
    grids = torch.meshgrid(*reversed(_axes(images)), indexing="ij")
    return torch.stack(grids[::-1], dim=-1).unsqueeze(0)


def _per_pixel(values: Tensor, spatial: int) -> Tensor:
    """(batch) → (batch, *1)."""
    return values.view(-1, *[1] * spatial)


def _seen_at(images: Images, places: Tensor) -> Images:
    return functional.grid_sample(
        images.float(), places, padding_mode="reflection", align_corners=False
    )


def _between(limits: tuple[float, float], like: Tensor, shape: tuple[int, ...]) -> Tensor:
    low, high = limits
    return low + (high - low) * torch.rand(shape, device=like.device)


KINDS: dict[str, Callable[[Site], Images]] = {
    "spot": _spot,
    "foreign": _foreign,
    "moved": _moved,
    "mirrored": _mirrored,
    "swirl": _swirled,
    "bulge": _bulged,
    "grains": _grainy,
    "blurred": _blurred,
}
