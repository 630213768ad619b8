"""A picture for people: scan | reconstruction | map | mask of a scan's worst slice."""

from collections.abc import Sequence

import cv2
import numpy as np

from infer.blanking import blanked
from infer.colours import with_channels
from infer.finding import Finding
from infer.images import slices_of
from infer.intensity import Intensity, rescale
from infer.manifest import Manifest
from infer.report_csv import Row
from infer.resizing import to_image_size
from infer.shapes import AnomalyMap, Mask
from infer.slicing import Plane, step_axis, to_slices
from infer.volume import Volume
from infer.volumetric import slice_seen, worst_of

PANEL = 320  # pixels along a panel's longer side
GAP = 8
LINE = 22  # height of a line of text
HEADER = 2 * LINE + GAP  # height of what is written above the panels
FONT = cv2.FONT_HERSHEY_SIMPLEX
WHITE, GREY = (255, 255, 255), (170, 170, 170)
RED, GREEN = (80, 80, 255), (120, 220, 120)  # blue, green, red: OpenCV's order

# A third smaller than by OpenCV's own choice, and no slower.
_ENCODING = (cv2.IMWRITE_PNG_COMPRESSION, 2)


def draw_overlay(
    volume: Volume, finding: Finding, manifest: Manifest, *, scan: str, row: Row
) -> bytes:
    """The PNG file's content."""
    worst = worst_of(finding.slice_scores, finding.peak, manifest)
    panels = _panels(volume, finding, manifest, worst)
    titles = {name: _title(name, finding, manifest) for name in panels}
    pictures = [_titled(titles[name], panel) for name, panel in panels.items()]
    body = cv2.copyMakeBorder(
        _side_by_side(pictures), 0, GAP, GAP, GAP, cv2.BORDER_CONSTANT, value=0
    )
    header = np.zeros((HEADER, body.shape[1], 3), np.uint8)
    place = (
        f"slice {row.worst_slice} (from 0), highest of {row.slices}, {manifest.plane}"
        if volume.voxels.ndim == 4
        else ""
    )
    _write(header, 0, f"{scan}   {place}", WHITE)
    _write(header, 1, _verdict(row, manifest), RED if row.anomalous else GREEN)
    done, data = cv2.imencode(".png", np.vstack([header, body]), _ENCODING)
    if not done:
        raise RuntimeError("OpenCV could not encode the overlay")
    return data.tobytes()


def _panels(
    volume: Volume, finding: Finding, manifest: Manifest, worst: int
) -> dict[str, np.ndarray]:
    """The panels by name, each PANEL wide and all of the same height.

    Args:
        worst: of the slices looked at, the one to show.
    """
    intensity, plane = manifest.intensity, manifest.plane
    channels = with_channels(volume.voxels, manifest.channels, manifest.colours)
    # As the network sees them: what is burnt in there may be a name.
    voxels = rescale(blanked(channels, manifest.preprocessing.blank, plane), volume.unit, intensity)
    at = slices_of(volume, manifest)[worst]
    seen = _shown(to_slices(voxels, plane)[at], intensity)
    size = _size(seen.shape[:2], _pixel_mm(volume, plane))
    anomaly_map = to_slices(finding.anomaly_map[np.newaxis], plane)[at, 0]
    mask = to_slices(finding.mask[np.newaxis], plane)[at, 0]
    seen = _resized(seen, size)
    panels = {"scan": seen}
    if finding.reconstruction is not None:
        redrawn = slice_seen(finding.reconstruction, worst, plane, volume.voxels.shape[1:])
        panels["reconstruction"] = _resized(_shown(redrawn, intensity), size)
    coloured = colour_map(np.ascontiguousarray(anomaly_map), manifest.map_threshold.value)
    panels["map"] = _resized(coloured, size)
    panels["mask"] = with_contour(seen, mask)
    return {name: _centred(panel) for name, panel in panels.items()}


def colour_map(anomaly_map: AnomalyMap, threshold: float) -> np.ndarray:
    """Grey below the threshold, yellow to red above it: (height, width, 3)."""
    low = min(float(anomaly_map.min()), threshold)
    high = max(float(anomaly_map.max()), threshold)
    below = np.clip((anomaly_map - low) / max(threshold - low, 1e-12), 0, 1)
    above = np.clip((anomaly_map - threshold) / max(high - threshold, 1e-12), 0, 1)
    grey = np.repeat((140 * below)[..., np.newaxis], 3, axis=-1)
    hot = np.stack([np.zeros_like(above), 230 * (1 - above), np.full_like(above, 255)], axis=-1)
    return np.where((anomaly_map > threshold)[..., np.newaxis], hot, grey).astype(np.uint8)


def with_contour(picture: np.ndarray, mask: Mask) -> np.ndarray:
    """A copy of the picture (height, width, 3) with the mask's border drawn in red."""
    height, width = picture.shape[:2]
    shrinks = height < mask.shape[0] or width < mask.shape[1]
    drawn_mask = cv2.resize(
        np.ascontiguousarray(mask).astype(np.float32),
        (width, height),
        # Of a lesion that is smaller than a pixel of the picture, one must be left.
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST,
    )
    large = (drawn_mask > 0).astype(np.uint8)
    contours, _ = cv2.findContours(large, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = picture.copy()
    cv2.drawContours(drawn, contours, -1, RED, 2)
    return drawn


def _shown(channels: np.ndarray, intensity: Intensity) -> np.ndarray:
    """Network values (channel, height, width) as a picture (height, width, 3)."""
    scaled = (channels - intensity.output_low) / (intensity.output_high - intensity.output_low)
    grey = np.clip(255 * scaled + 0.5, 0, 255).astype(np.uint8)
    if len(grey) == 3:  # red, green, blue → OpenCV's order
        return np.ascontiguousarray(grey[::-1].transpose(1, 2, 0))
    return np.repeat(grey.mean(axis=0).astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def _pixel_mm(volume: Volume, plane: Plane) -> tuple[float, float]:
    """Height and width of a slice's pixel, so that thick slices are not drawn flat."""
    if volume.spacing_mm is None or volume.voxels.ndim == 3:
        return 1.0, 1.0
    step = step_axis(plane)
    height, width = (mm for axis, mm in enumerate(volume.spacing_mm) if axis != step)
    return height, width


def _size(shape: Sequence[int], pixel_mm: tuple[float, float]) -> tuple[int, int]:
    """Height and width, in pixels of a panel, of a slice."""
    height, width = (length * mm for length, mm in zip(shape, pixel_mm, strict=True))
    scale = PANEL / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    channels_first = picture.transpose(2, 0, 1)[np.newaxis].astype(np.float32)
    resized = to_image_size(channels_first, size)[0].transpose(1, 2, 0)
    return np.ascontiguousarray(np.clip(resized + 0.5, 0, 255).astype(np.uint8))


def _centred(picture: np.ndarray) -> np.ndarray:
    panel = np.zeros((len(picture), PANEL, 3), np.uint8)  # as wide as its title needs
    left = (PANEL - picture.shape[1]) // 2
    panel[:, left : left + picture.shape[1]] = picture
    return panel


def _title(name: str, finding: Finding, manifest: Manifest) -> str:
    match name:
        case "map":
            return f"map: coloured above {manifest.map_threshold.value:.3g}"
        case "mask":
            return f"mask: {finding.lesions} lesion{'' if finding.lesions == 1 else 's'}"
        case _:
            return name


def _verdict(row: Row, manifest: Manifest) -> str:
    rank = "" if row.normal_percentile is None else f", above {row.normal_percentile:.0f} % of"
    normals = f"{rank} {len(manifest.normals.scores)} normal scans" if rank else ""
    word = "ANOMALOUS" if row.anomalous else "normal"
    by_mask = " (decided by the mask)" if manifest.anomalous_by == "mask" else ""
    return f"{word}{by_mask}: score {row.score:.4g}, threshold {row.threshold:.4g}{normals}"


def _titled(title: str, panel: np.ndarray) -> np.ndarray:
    strip = np.zeros((LINE, panel.shape[1], 3), np.uint8)
    _write(strip, 0, title, GREY, left=0)
    return np.vstack([strip, panel])


def _side_by_side(pictures: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.zeros((pictures[0].shape[0], GAP, 3), np.uint8)
    parts = [part for picture in pictures for part in (gap, picture)]
    return np.hstack(parts[1:])


def _write(
    picture: np.ndarray, line: int, text: str, colour: tuple[int, int, int], *, left: int = GAP
) -> None:
    """Put a line of text, cut in its middle if it is too long for the picture."""
    # OpenCV's fonts know ASCII only.
    text = text.encode("ascii", "replace").decode().strip()
    room = max(8, (picture.shape[1] - 2 * left) // 9)
    if len(text) > room:
        half = (room - 3) // 2
        text = f"{text[:half]}...{text[-half:]}"
    at = (left, (line + 1) * LINE - 6)
    cv2.putText(picture, text, at, FONT, 0.48, colour, 1, cv2.LINE_AA)
