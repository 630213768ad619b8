"""A picture of each test volume: slices as scan, reconstruction (if any), map, mask and truth."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np

from export.panels import FOUND, TRUE, unit_range
from export.scan_scores import ScoredScan
from infer.manifest import Manifest
from infer.worker import slices_in_file

TILE = 160  # pixels along a tile's longer side
GAP_PX = 3
LINE_PX = 16  # for words
SHOWN = (1.0, 99.5)  # percentiles of the scan between which its greys lie
REDRAWN = "reconstruction"
COLUMNS = ("scan", REDRAWN, "map", "mask", "truth")


class Montages:
    """Draws the volumes that pass by."""

    def __init__(self, folder: Path | None, manifest: Manifest, slices: int) -> None:
        self.folder = folder
        self.manifest = manifest
        self.slices = slices
        self.count = 0

    def of(self, scans: Iterable[ScoredScan]) -> Iterator[ScoredScan]:
        """The same scans, each drawn before it is handed on; pictures have their panels already."""
        for scored in scans:
            if self.folder and self.slices and scored.finding.mask.ndim == 3:
                self._draw(scored, self.folder)
            yield scored

    def _draw(self, scored: ScoredScan, folder: Path) -> None:
        """Named by the scan and its folder, which is a patient's in many datasets."""
        folder.mkdir(parents=True, exist_ok=True)
        scan = scored.case.scan
        name = re.sub(r"[^\w-]+", "_", f"{scan.parent.name}_{scan.name.split('.')[0]}")
        path = folder / f"{self.count:04}_{name}.png"
        picture = montage(scored, self.manifest, self.slices)
        if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
            raise RuntimeError(f"OpenCV could not write {path}")
        self.count += 1


def montage(scored: ScoredScan, manifest: Manifest, count: int) -> np.ndarray:
    """Red, green and blue `(height, width, 3)`: a row for each slice, a column for each of
    `COLUMNS`, but for the reconstruction where a method has none or redraws whole volumes."""
    greys = scored.volume.voxels.mean(axis=0)
    low, high = np.percentile(greys, SHOWN)
    shares = (scored.sliced(greys) - low) / max(float(high - low), 1e-12)
    maps = scored.sliced(scored.finding.anomaly_map)
    highest = max(2 * manifest.map_threshold.value, 1e-12) if _calibrated(manifest) else 1.0
    rows = [
        _row(scored, manifest, at, shares[at], maps[at] / highest)
        for at in chosen_slices(scored, count)
    ]
    width = rows[0].shape[1]
    head = np.full((LINE_PX, width, 3), 255, np.uint8)
    titles = [it for it in COLUMNS if it != REDRAWN or _redraws_slices(scored)]
    for place, title in enumerate(titles):
        left = place * width // len(titles) + GAP_PX
        cv2.putText(head, title, (left, LINE_PX - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
    return np.concatenate([head, *rows])


def chosen_slices(scored: ScoredScan, count: int) -> list[int]:
    """Evenly through the lesion, or without one through the foreground; and that of the map's peak.

    Rising, without repetition, at most `count`.
    """
    at_peak = np.zeros(scored.finding.mask.shape, bool)
    at_peak[scored.finding.peak] = True
    # Where nothing is above 0, the peak may lie in a slice that was not looked at.
    peak = int(scored.sliced(at_peak).any(axis=(1, 2)).argmax())
    abnormal = scored.abnormal_slices
    seen = scored.foreground_slices if abnormal is None or not abnormal.any() else abnormal
    among = np.flatnonzero(seen)
    places = (np.arange(count - 1) + 0.5) / max(1, count - 1) * len(among)
    return sorted({peak, *among[places.astype(int)].tolist()}) if len(among) else [peak]


def _row(
    scored: ScoredScan, manifest: Manifest, at: int, share: np.ndarray, above: np.ndarray
) -> np.ndarray:
    """The tiles of one slice, side by side."""
    size = share.shape
    grey = np.repeat(np.clip(share * 255, 0, 255).astype(np.uint8)[..., np.newaxis], 3, axis=-1)
    heat = np.asarray(mpl.colormaps["magma"](np.clip(above, 0, 1), bytes=True))[..., :3]
    truth = None if scored.truth is None else scored.sliced(scored.truth)[at]
    tiles = (
        grey,
        *([_redrawn(scored, manifest, at, size)] if _redraws_slices(scored) else []),
        heat,
        _marked(grey, scored.sliced(scored.finding.mask)[at], FOUND),
        np.full_like(grey, 200) if truth is None else _marked(grey, truth, TRUE),
    )
    pad = ((0, GAP_PX), (0, GAP_PX), (0, 0))
    row = np.concatenate([np.pad(_tile(it), pad, constant_values=255) for it in tiles], axis=1)
    index = slices_in_file(scored.volume, manifest)[at]  # as report.csv and slices.csv count
    cv2.putText(row, f"{index}", (3, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0), 1)
    return row


def _redraws_slices(scored: ScoredScan) -> bool:
    reconstruction = scored.finding.reconstruction
    return reconstruction is not None and len(reconstruction) == scored.slice_count


def _redrawn(scored: ScoredScan, manifest: Manifest, at: int, size: tuple[int, ...]) -> np.ndarray:
    reconstruction = scored.finding.reconstruction
    assert reconstruction is not None  # or there is no such column
    image = unit_range(reconstruction[at], manifest).mean(axis=0)
    grown = cv2.resize(np.clip(image, 0, 1).astype(np.float32), size[::-1])
    return np.repeat((grown * 255).astype(np.uint8)[..., np.newaxis], 3, axis=-1)


def _marked(grey: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    half = (grey.astype(np.uint16) + np.array(colour, np.uint16)) // 2
    return np.where(mask[..., np.newaxis], half.astype(np.uint8), grey)


def _tile(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    ratio = TILE / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    how = cv2.INTER_NEAREST if ratio >= 1 else cv2.INTER_AREA
    return np.ascontiguousarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=how))


def _calibrated(manifest: Manifest) -> bool:
    return bool(manifest.map_threshold.value < np.finfo(np.float32).max / 4)
