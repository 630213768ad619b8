"""Pictures (PNG, JPEG, TIFF, BMP) → Volume: unit "display", colours as R, G, B.

One plane; of a TIFF of several pages a volume, whose slices the pages are.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from infer.errors import UnreadableScanError
from infer.readers import picture_header
from infer.readers.choice import USUAL, Choice
from infer.readers.claim import Claim
from infer.readers.picture_file import Whole, checked
from infer.readers.picture_header import refuse_large_file
from infer.readers.voxel_stream import CUT_OFF
from infer.slicing import grid_of_stack
from infer.volume import Volume, in_our_order

# A decoder's words about a damaged file belong into our row, not between a user's lines.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

_WHITES = {np.dtype(np.uint8): 2**8 - 1, np.dtype(np.uint16): 2**16 - 1}
_UINT8 = np.linspace(0, 1, 2**8, dtype=np.float32)


def read(path: Path, choice: Choice = USUAL) -> Volume:
    """The picture of a file; see `decode`."""
    return decode(content_of(path, choice), path.name, choice)


def content_of(path: Path, choice: Choice) -> bytes:
    """All bytes of a file, if they can be a picture that may be read.

    Raises:
        UnreadableScanError: they are too many.
    """
    refuse_large_file(path.stat().st_size, path.name, choice)
    return path.read_bytes()


def claim_of(path: Path, choice: Choice) -> Claim:
    """What would be read, by the header; little more of the file is read from the disk.

    Raises:
        UnreadableScanError: it is not a picture, or too large.
    """
    size = path.stat().st_size
    refuse_large_file(size, path.name, choice)
    if size == 0:
        return picture_header.claim_of(b"", path.name, choice)
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as content,
    ):
        return picture_header.claim_of(content, path.name, choice)


def decode(content: bytes, name: str, choice: Choice = USUAL) -> Volume:
    """The picture in a file's content, pixel for pixel as it is stored; pages are slices.

    A rotation in its EXIF data is not applied; transparency is dropped; a grey picture stored in
    colour has one channel.

    Raises:
        UnreadableScanError: it is damaged, not a picture, or of a kind that has no white.
    """
    whole = checked(content, name=name, choice=choice)
    slices = _voxels(_decoded(whole, name), name)
    stored = slices if slices.shape[1] > 1 else slices[:, 0]
    grid = grid_of_stack(stored.shape[1:], choice.plane)
    return Volume(
        voxels=in_our_order(stored, grid),
        unit="display",
        spacing_mm=None,
        grid=grid,
        warnings=whole.warnings,
    )


def _decoded(whole: Whole, name: str) -> list[np.ndarray]:
    """Every page that is a picture, with the black and the white that it was meant to have."""
    pages = whole.header.pages
    if len(pages) < 2:
        pixels = [_decode(whole.content, name)]
    else:
        decoded = _decode_all(whole.content, name, count=len(pages))
        pixels = [it for page, it in zip(pages, decoded, strict=True) if page.is_picture]
    if any(it.shape[:2] != (whole.header.height, whole.header.width) for it in pixels):
        raise UnreadableScanError(
            f"{name} is damaged: its pixels have another size than its header says", hint=CUT_OFF
        )
    meant = [page for page in pages if page.is_picture]
    for page, picture in zip(meant, pixels, strict=False):
        # The decoder turns white and black where it should, save for pages of 16 bits.
        if page.white_is_zero and page.colours == 1 and picture.dtype == np.uint16:
            np.subtract(np.uint16(_WHITES[picture.dtype]), picture, out=picture)
    return pixels


def _decode_all(content: bytes, name: str, *, count: int) -> list[np.ndarray]:
    try:
        done, pages = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableScanError(f"{name} cannot be decoded", hint=CUT_OFF) from error
    if not done or len(pages) != count:
        raise UnreadableScanError(f"{name} cannot be decoded: its data is damaged", hint=CUT_OFF)
    return [np.asarray(page) for page in pages]


def _decode(content: bytes, name: str) -> np.ndarray:
    try:
        # UNCHANGED keeps depth and orientation: a mask must lie on the file's own grid.
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise UnreadableScanError(f"{name} cannot be decoded", hint=CUT_OFF) from error
    if pixels is None or pixels.size == 0:
        raise UnreadableScanError(f"{name} cannot be decoded: its data is damaged", hint=CUT_OFF)
    return np.asarray(pixels)


def _voxels(pages: Sequence[np.ndarray], name: str) -> np.ndarray:
    """Black to white as 0 to 1: `(channel, slice, height, width)`; grey if every page is."""
    planes = [_planes(page, name) for page in pages]
    channels = max(len(it) for it in planes)
    scaled = np.empty((channels, len(pages), *pages[0].shape[:2]), np.float32)
    for at, colours in enumerate(planes):
        for channel, target in enumerate(scaled[:, at]):
            _scale(colours[min(channel, len(colours) - 1)], target)
    return scaled


def _planes(pixels: np.ndarray, name: str) -> list[np.ndarray]:
    """Red, green and blue, or grey alone if they are equal."""
    if pixels.dtype not in _WHITES:
        raise UnreadableScanError(
            f"{name} holds {pixels.dtype} values, for which no white is defined",
            hint="save it with 8 or 16 bits a channel, or as NIfTI",
        )
    if pixels.ndim == 2:
        return [pixels]
    colours = [np.asarray(plane) for plane in cv2.split(pixels)]  # blue, green, red, transparency
    grey = all(cv2.norm(colours[0], other, cv2.NORM_INF) == 0 for other in colours[1:3])
    return colours[:1] if grey or len(colours) < 3 else colours[2::-1]


def _scale(plane: np.ndarray, target: np.ndarray) -> None:
    if plane.dtype == np.uint8:
        cv2.LUT(plane, _UINT8, dst=target)
    else:
        np.divide(plane, np.float32(_WHITES[plane.dtype]), out=target)
