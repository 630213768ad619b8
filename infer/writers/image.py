"""Pictures → PNG files."""

from pathlib import Path

import cv2
import numpy as np

from infer.shapes import Mask
from infer.volume import Volume
from infer.writers.atomic import write_bytes

# A mask has long runs: filtering its rows costs more time than it saves bytes.
_MASK_ENCODING = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


def write_mask(path: Path, mask: Mask, volume: Volume) -> None:
    """An 8-bit PNG of the picture's own size: 255 where anomalous, 0 elsewhere."""
    stored = np.ascontiguousarray(volume.grid.to_file(mask)).view(np.uint8)
    encoded = cv2.imencode(".png", stored * np.uint8(255), _MASK_ENCODING)[1]
    write_bytes(path, encoded.tobytes())
