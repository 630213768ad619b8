"""Pictures → PNG files."""

from pathlib import Path

import cv2
import numpy as np

from infer.shapes import Mask
from infer.volume import Volume
from infer.writers.atomic import write_bytes

# Measured on masks: without filters and with run-length coding 3 times faster than a filtered
# row search, and the smallest files.
_MASK_ENCODING = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


def write_mask(path: Path, mask: Mask, volume: Volume) -> None:
    """An 8-bit PNG of the picture's own size: 255 where anomalous, 0 elsewhere."""
    stored = np.ascontiguousarray(volume.grid.to_file(mask)).view(np.uint8)
    encoded = cv2.imencode(".png", stored * np.uint8(255), _MASK_ENCODING)[1]
    write_bytes(path, encoded.tobytes())
