"""Masks of pictures → PNG, anomaly maps → TIFF."""

import cv2
import numpy as np

from infer.shapes import AnomalyMap, Mask
from infer.volume import Volume

# A mask has long runs: filtering its rows costs more time than it saves bytes.
_MASK_ENCODING = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """An 8-bit PNG of the picture's own size: 255 where anomalous, 0 elsewhere."""
    stored = np.ascontiguousarray(volume.grid.to_file(mask)).view(np.uint8)
    return bytes(cv2.imencode(".png", stored * np.uint8(255), _MASK_ENCODING)[1])


def encode_map(anomaly_map: AnomalyMap, volume: Volume) -> bytes:
    """A TIFF of the picture's own size in float32: the values themselves, not shades of grey."""
    stored = np.ascontiguousarray(volume.grid.to_file(anomaly_map))
    uncompressed = (cv2.IMWRITE_TIFF_COMPRESSION, 1)  # noise shrinks by a fifth at most
    return bytes(cv2.imencode(".tif", stored, uncompressed)[1])
