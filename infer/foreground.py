"""Foreground: which pixels of a slice belong to the patient, or to his brain alone.

`stripped` is for scans whose skull, or whatever else, has been taken off already: what is brighter
than the low end of the intensity range, with the holes that dark tissue leaves in it. Nothing is
sought in it, so that a slice may be empty.

`body` is what is brighter than air: the largest piece, its holes filled, without table and text.

`brain` is what the skull of a head CT encloses. Bone is the largest piece of the brightest class;
what is left of the head, less strips narrower than a sinus or a suture, falls into pieces; the
largest (one, or several where a big bleed or the petrous bones part the brain) are inside. Their
convex hull is the brain, and not the pieces themselves: a bleed is as bright as bone in most
windows, and one that lies against the skull would be cut out with it. The hull keeps it, but for
what bulges beyond it, and for a strip at the rim where all that joins the skull is left out. With
it the hull keeps bone between the pieces, as at the base of the skull: rather some bone too many
than a bleed too few. Bone must surround it: an MR, or a slice above the brain, has no such brain.
It is not for scans whose skull has been taken off already, where a bright cortex may pass for one.

Thresholds are those that part the slice's own values into three classes with the least variance
(Otsu 1979): air, soft tissue and bone, whether they come as Hounsfield units or as a picture
windowed by a stranger. Two classes will not do: in a brain window the gap between tissue and bone
is often wider than that between air and tissue.

Looked for in a copy of at most 128 pixels a side: its means over areas quieten noise, sizes count
in shares of it, and it takes a millisecond. On the 200 slices of the head-CT study: all brains
were found, four of them with bone at a side where the picture cuts the skull off.
"""

from typing import Literal, NamedTuple

import cv2
import numpy as np

from infer.resizing import to_image_size
from infer.shapes import Foreground, SliceMasks, Slices, Voxels

ForegroundRecipe = Literal["none", "stripped", "body", "brain"]

WORKING_SIDE = 128  # pixels of the longest side
LEVELS = 128
DISTINCT = 0.2  # neighbouring classes lie further apart than this share of all, or are one
STRIP = 0.015  # half the width of what parts the brain from the rest, of the body's side
SMALLEST_PART = 0.25  # of the brain, of its largest
SURROUNDED = 0.5  # by bone: a skull that the picture cuts off still does


class Classes(NamedTuple):
    """Three classes of levels: up to `lower`, up to `upper`, and above; and their means."""

    lower: int
    upper: int
    means: tuple[float, float, float]


def foreground_of(slices: Slices, recipe: ForegroundRecipe) -> SliceMasks:
    """What belongs to the patient in each slice, whose values lie in [0, 1].

    All of a slice where nothing is found: better judged whole than not at all. But for `stripped`,
    which finds what is there.
    """
    size = slices.shape[-2:]
    if recipe == "stripped":
        return np.stack([_filled(it) if it.any() else it for it in slices.max(axis=1) > 0])
    grey = slices.mean(axis=1, keepdims=True, dtype=np.float32)
    small = to_image_size(grey, _working_size(*size))[:, 0]
    masks = np.ones((len(slices), *size), bool)
    for source, mask in zip(small, masks, strict=True):
        found = _find(_levels(source), recipe)
        if found.any():
            enlarged = cv2.resize(found.astype(np.float32), size[::-1])
            np.greater(enlarged, 0.5, out=mask)
    return masks


def stripped(voxels: Voxels) -> Foreground:
    """What belongs to the patient in a scan whose air and skull were taken off: all else is equal.

    In a scan that has not been stripped so, that is nearly everything.
    """
    differs = [channel != background_of(channel) for channel in voxels]
    return np.asarray(np.any(differs, axis=0))


def background_of(channel: np.ndarray) -> float:
    """The most frequent value at the borders of a scan's slices, `(*spatial)`.

    Not the lowest: where a scan was standardised after stripping it may lie in the middle.
    """
    borders = (channel[..., [0, -1], :], channel[..., [0, -1]])
    values, counts = np.unique(np.concatenate([it.ravel() for it in borders]), return_counts=True)
    return float(values[counts.argmax()])


def three_classes(counts: np.ndarray) -> Classes | None:
    """The levels that part a histogram into three classes with the least variance within them.

    None where it has fewer than three levels.
    """
    below = np.concatenate([[0], np.cumsum(counts, dtype=np.float64)])
    moment = np.concatenate([[0], np.cumsum(counts * np.arange(len(counts)), dtype=np.float64)])
    # Of the class from level a to below level b, at [a, b]: its weight, and what it explains.
    weight = below - below[:, np.newaxis]
    total = moment - moment[:, np.newaxis]
    explained = np.divide(total**2, weight, out=np.full_like(weight, -np.inf), where=weight > 0)
    gain = explained[0][:, np.newaxis] + explained + explained[:, -1]
    first, second = (int(at) for at in np.unravel_index(int(np.argmax(gain)), gain.shape))
    if not np.isfinite(gain[first, second]):
        return None
    mean = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    means = float(mean[0, first]), float(mean[first, second]), float(mean[second, -1])
    return Classes(first - 1, second - 1, means)


def air_of(classes: Classes) -> int:
    """The brightest level of air."""
    air, tissue, bright = classes.means
    # Else the lower threshold only parts air's noise: air and what it calls tissue are one.
    return classes.lower if tissue - air > DISTINCT * (bright - air) else classes.upper


def _working_size(height: int, width: int) -> tuple[int, int]:
    share = min(1.0, WORKING_SIDE / max(height, width))
    return max(2, round(height * share)), max(2, round(width * share))


def _levels(source: np.ndarray) -> np.ndarray:
    quiet = cv2.blur(source, (3, 3))
    return np.asarray(np.clip(quiet * LEVELS, 0, LEVELS - 1).astype(np.uint8))


def _find(levels: np.ndarray, recipe: ForegroundRecipe) -> np.ndarray:
    """The mask of a slice; empty where there is no such thing in it."""
    classes = three_classes(np.bincount(levels.ravel(), minlength=LEVELS))
    if classes is None:  # air and something, or nothing at all
        something = _filled(_largest(levels > levels.min()))
        return something if recipe == "body" else np.zeros_like(something)
    air, tissue, bright = classes.means
    body = _filled(_largest(levels > air_of(classes)))
    if recipe == "body":
        return body
    if bright - tissue < DISTINCT * (bright - air):
        return np.zeros_like(body)
    return _enclosed(body, (levels > classes.upper) & body)


def _enclosed(body: np.ndarray, bright: np.ndarray) -> np.ndarray:
    """The hull of what bone encloses, without bone along its rim."""
    strip = _disc(max(1, round(STRIP * float(np.sqrt(body.sum())))))
    bone = _largest(bright)
    core = _eroded(body & ~bone, strip)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if not len(areas):
        return np.zeros_like(body)
    parts = 1 + np.flatnonzero(areas >= SMALLEST_PART * areas.max())
    drawn = _hull(cv2.dilate(np.isin(labels, parts).view(np.uint8), strip))
    hull = drawn.view(bool)
    around = cv2.dilate(drawn, strip, iterations=2).view(bool) & ~hull
    if not around.any() or bright[around].mean() < SURROUNDED:
        return np.zeros_like(body)
    return np.asarray(hull & (_eroded(hull, strip).view(bool) | ~bone))


def _eroded(mask: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Without what lies at its rim; beyond the slice there is nothing."""
    none = (0, 0, 0, 0)
    drawn = cv2.erode(mask.view(np.uint8), shape, borderType=cv2.BORDER_CONSTANT, borderValue=none)
    return np.asarray(drawn)


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest component; empty if there is none."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    return np.asarray(labels == 1 + int(np.argmax(areas))) if len(areas) else np.zeros_like(mask)


def _filled(mask: np.ndarray) -> np.ndarray:
    """With its holes: what cannot be reached from outside the slice."""
    outside = 1 - cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    _, labels = cv2.connectedComponents(outside, connectivity=4)
    return np.asarray(labels != labels[0, 0])[1:-1, 1:-1]


def _hull(mask: np.ndarray) -> np.ndarray:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    corners = cv2.convexHull(np.concatenate(outlines))
    return np.asarray(cv2.fillConvexPoly(np.zeros_like(mask), corners, (1, 0, 0, 0)))


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
