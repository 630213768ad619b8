"""Masks of pictures → PNG, anomaly maps → TIFF."""

import cv2
import numpy as np

from infer import png
from infer.shapes import AnomalyMap, Mask
from infer.volume import Volume


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """An 8-bit PNG of the picture's own size: 255 where anomalous, 0 elsewhere."""
    stored = np.asarray(volume.grid.to_file(mask)).view(np.uint8)
    return png.encode_grey(stored * np.uint8(255))


def encode_map(anomaly_map: AnomalyMap, volume: Volume) -> bytes:
    """A TIFF of the picture's own size in float32: the values themselves, not shades of grey."""
    stored = np.ascontiguousarray(volume.grid.to_file(anomaly_map))
    uncompressed = (cv2.IMWRITE_TIFF_COMPRESSION, 1)  # noise shrinks by a fifth at most
    return bytes(cv2.imencode(".tif", stored, uncompressed)[1])
