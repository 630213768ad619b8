"""Masks and anomaly maps of arrays → NPY of the same axes."""

import io

import numpy as np

from infer.shapes import AnomalyMap, Mask
from infer.volume import Volume


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """An array of the scan's own axes, colours left out: uint8, 1 where anomalous."""
    return _encoded(volume.grid.to_file(mask).astype(np.uint8))


def encode_map(anomaly_map: AnomalyMap, volume: Volume) -> bytes:
    """The same with the map's own values in float32."""
    return _encoded(volume.grid.to_file(anomaly_map))


def _encoded(stored: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(stored), allow_pickle=False)
    return content.getvalue()
