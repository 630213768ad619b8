"""What a reader wants to see of a test scan: its worst slice, redrawn, compared, mapped, marked."""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import matplotlib as mpl
import numpy as np

from export.scan_scores import ScoredScan
from infer.images import slices_of
from infer.manifest import Manifest
from infer.resizing import to_image_size
from infer.shapes import Images
from infer.slicing import to_slices
from infer.volumetric import size_across, slice_seen, worst_of

TILE = 128  # pixels along a tile's longer side
FOUND, TRUE = (255, 70, 70), (80, 220, 120)  # red, green, blue
DIFFERENCE = 0.5  # of the intensity range: where the colours of the difference end
TITLES = ("scan", "reconstruction", "difference", "map", "mask (red), truth (green)")


class Panel(NamedTuple):
    """One slice at the network's size; intensities in [0, 1]."""

    image: np.ndarray  # (channel, height, width)
    reconstruction: np.ndarray  # like image; the image itself where a method has none
    anomaly_map: np.ndarray  # (height, width)
    mask: np.ndarray
    truth: np.ndarray  # empty where it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class Panels:
    """The panels of all test scans, stacked."""

    image: np.ndarray
    reconstruction: np.ndarray
    anomaly_map: np.ndarray
    mask: np.ndarray
    truth: np.ndarray

    def at(self, row: int) -> Panel:
        """The panel of one scan."""
        return Panel(*(getattr(self, name)[row] for name in Panel._fields))


def panel_of(scored: ScoredScan, manifest: Manifest) -> Panel:
    """The slice with the highest score, or of a whole volume with its peak.

    Half precision, for these are pictures.
    """
    finding = scored.finding
    plane, spatial = manifest.plane, finding.mask.shape
    worst = worst_of(finding.slice_scores, finding.peak, manifest)
    image = redrawn = slice_seen(finding.images, worst, plane, spatial)
    if finding.reconstruction is not None:
        redrawn = slice_seen(finding.reconstruction, worst, plane, spatial)
    truth = np.zeros_like(finding.mask) if scored.truth is None else scored.truth
    planes = np.stack([finding.anomaly_map, finding.mask, truth]).astype(np.float32)
    at = slices_of(scored.volume, manifest)[worst]
    slices = to_slices(planes, plane)[at : at + 1]
    seen, mask, true = to_image_size(slices, size_across(manifest.image_size, plane))[0]
    return Panel(
        image=unit_range(image, manifest).astype(np.float16),
        reconstruction=unit_range(redrawn, manifest).astype(np.float16),
        anomaly_map=seen.astype(np.float16),
        mask=mask > 0.5,
        truth=true > 0.5,
    )


def unit_range(images: Images, manifest: Manifest) -> np.ndarray:
    """Images of the model's range in [0, 1]."""
    low, high = manifest.intensity.output_low, manifest.intensity.output_high
    return (images - low) / (high - low)


def stack(panels: list[Panel]) -> Panels:
    """All panels in one."""
    return Panels(
        **{name: np.stack([getattr(it, name) for it in panels]) for name in Panel._fields}
    )


def tiles(panel: Panel, *, map_high: float) -> list[np.ndarray]:
    """A picture (height, width, red green blue) for each of `TITLES`; maps end at `map_high`."""
    image, redrawn = _grey(panel.image), _grey(panel.reconstruction)
    difference = (panel.image - panel.reconstruction).astype(np.float32).mean(axis=0)
    centred = difference / (2 * DIFFERENCE) + 0.5
    above = np.asarray(panel.anomaly_map, np.float32) / (map_high or 1.0)
    marked = _large(image)
    for mask, colour, width in ((panel.mask, FOUND, 2), (panel.truth, TRUE, 1)):
        grown = cv2.resize(
            mask.astype(np.uint8), marked.shape[1::-1], interpolation=cv2.INTER_NEAREST
        )
        outlines, _ = cv2.findContours(grown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        marked = cv2.drawContours(marked, outlines, -1, colour, width)
    pictures = (image, redrawn, _coloured(centred, "RdBu_r"), _coloured(above, "magma"))
    return [*(_large(it) for it in pictures), marked]


def _grey(image: np.ndarray) -> np.ndarray:
    """Three channels are colours; otherwise their mean is shown."""
    shown = np.clip(np.asarray(image, np.float32), 0, 1) * 255
    if len(shown) == 3:
        return np.moveaxis(shown, 0, -1).astype(np.uint8)
    return np.repeat(shown.mean(axis=0)[..., np.newaxis], 3, axis=-1).astype(np.uint8)


def _coloured(values: np.ndarray, colours: str) -> np.ndarray:
    return np.asarray(mpl.colormaps[colours](np.clip(values, 0, 1), bytes=True))[..., :3].copy()


def _large(picture: np.ndarray) -> np.ndarray:
    """Pixels as squares, so that nobody takes smoothing for resolution."""
    height, width = picture.shape[:2]
    ratio = TILE / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    how = cv2.INTER_NEAREST if ratio >= 1 else cv2.INTER_AREA
    return np.ascontiguousarray(cv2.resize(picture, size, interpolation=how))
