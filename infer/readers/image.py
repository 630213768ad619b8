"""Pictures (PNG, JPEG, TIFF, BMP) → Volume: unit "display", one plane, colours as R, G, B."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.picture_file import CUT_OFF, checked
from infer.shapes import Voxels
from infer.volume import Grid, Volume

# A decoder's words about a damaged file belong into our row, not between a user's lines.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_WHITES = {np.dtype(np.uint8): 2**8 - 1, np.dtype(np.uint16): 2**16 - 1}
_UINT8 = np.linspace(0, 1, 2**8, dtype=np.float32)


def read(path: Path) -> Volume:
    """The picture of a file; see `decode`."""
    return decode(path.read_bytes(), path.name)


def decode(content: bytes, name: str) -> Volume:
    """The picture in a file's content, pixel for pixel as it is stored.

    A rotation in its EXIF data is not applied; transparency is dropped; a grey picture stored in
    colour has one channel.

    Raises:
        UnreadableScanError: it is damaged, not a picture, or of a kind that has no white.
    """
    whole = checked(content, name=name)
    pixels = _decode(whole.content, name)
    return Volume(
        voxels=_voxels(pixels, name),
        unit="display",
        spacing_mm=None,
        grid=Grid(shape=pixels.shape[:2], axes=(0, 1), flipped=(False, False)),
        warnings=whole.warnings,
    )


def _decode(content: bytes, name: str) -> np.ndarray:
    try:
        # UNCHANGED keeps depth and orientation: a mask must lie on the file's own grid.
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableScanError(f"{name} cannot be decoded", hint=CUT_OFF) from error
    if pixels is None or pixels.size == 0:
        raise UnreadableScanError(f"{name} cannot be decoded: its data is damaged", hint=CUT_OFF)
    return np.asarray(pixels)


def _voxels(pixels: np.ndarray, name: str) -> Voxels:
    if pixels.dtype not in _WHITES:
        raise UnreadableScanError(
            f"{name} holds {pixels.dtype} values, for which no white is defined",
            hint="save it with 8 or 16 bits a channel, or as NIfTI",
        )
    if pixels.ndim == 2:
        return _scaled([pixels])
    colours = [np.asarray(plane) for plane in cv2.split(pixels)]  # blue, green, red, transparency
    grey = all(cv2.norm(colours[0], other, cv2.NORM_INF) == 0 for other in colours[1:3])
    if grey or len(colours) < 3:
        return _scaled(colours[:1])
    return _scaled(colours[2::-1])


def _scaled(planes: Sequence[np.ndarray]) -> Voxels:
    """Black to white as 0 to 1, each plane in one pass."""
    scaled = np.empty((len(planes), *planes[0].shape), np.float32)
    for plane, target in zip(planes, scaled, strict=True):
        if plane.dtype == np.uint8:
            cv2.LUT(plane, _UINT8, dst=target)
        else:
            np.divide(plane, np.float32(_WHITES[plane.dtype]), out=target)
    return scaled
