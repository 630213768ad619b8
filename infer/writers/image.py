"""Masks of pictures → PNG or TIFF, anomaly maps → TIFF."""

import cv2
import numpy as np

from infer import png
from infer.shapes import AnomalyMap, Mask
from infer.volume import Volume

# Of a mask, whose runs are long; values of a map are noise, which shrinks by a fifth at most.
_PACKED = (cv2.IMWRITE_TIFF_COMPRESSION, 5)
_AS_IT_IS = (cv2.IMWRITE_TIFF_COMPRESSION, 1)


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """An 8-bit PNG of the picture's own size: 255 where anomalous, 0 elsewhere."""
    return png.encode_grey(_black_and_white(mask, volume))


def encode_mask_pages(mask: Mask, volume: Volume) -> bytes:
    """The same as a TIFF with as many pages as the scan has."""
    return _pages(_black_and_white(mask, volume), _PACKED)


def encode_map(anomaly_map: AnomalyMap, volume: Volume) -> bytes:
    """A TIFF of the scan's own size and pages in float32: the values themselves, not greys."""
    return _pages(np.ascontiguousarray(volume.grid.to_file(anomaly_map)), _AS_IT_IS)


def _black_and_white(mask: Mask, volume: Volume) -> np.ndarray:
    stored = np.ascontiguousarray(volume.grid.to_file(mask)).view(np.uint8)
    return stored * np.uint8(255)


def _pages(stored: np.ndarray, options: tuple[int, int]) -> bytes:
    if stored.ndim == 2:
        return bytes(cv2.imencode(".tif", stored, options)[1])
    return bytes(cv2.imencodemulti(".tif", list(stored), options)[1])
