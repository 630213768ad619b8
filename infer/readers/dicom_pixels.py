"""Stored pixels → values of the scanner (HU in CT), whatever the transfer syntax.

Which library decodes what is fixed here, so that a result does not depend on what else happens to
be installed: GDCM reads JPEG and JPEG-LS, OpenJPEG JPEG 2000, pydicom itself RLE (pylibjpeg-rle is
faster, but panics on damaged data). JPEG with 12 bits is left to whatever pydicom finds: the only
decoder for it has a GPL licence, a user's own choice.
"""

import functools
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.dicom_decoder import DESCRIPTION, DecoderError, decoder
from infer.readers.dicom_frame import Frame, frame_count
from infer.readers.dicom_header import DAMAGED, Dataset, reading
from infer.readers.jpeg_stream import is_damaged
from infer.readers.voxel_stream import rescaled

_GDCM, _PYLIBJPEG = "gdcm", "pylibjpeg"
_JPEG, _JPEG_12_BIT = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
# Transfer syntax → pydicom's name for the library (DICOM PS3.5 A.4).
_DECODERS = {
    _JPEG: _GDCM,  # JPEG baseline
    "1.2.840.10008.1.2.4.57": _GDCM,  # JPEG lossless
    "1.2.840.10008.1.2.4.70": _GDCM,  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": _GDCM,  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": _GDCM,  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": _PYLIBJPEG,  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": _PYLIBJPEG,  # JPEG 2000
    "1.2.840.10008.1.2.4.201": _PYLIBJPEG,  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202": _PYLIBJPEG,  # HTJ2K lossless, by resolution
    "1.2.840.10008.1.2.4.203": _PYLIBJPEG,  # HTJ2K
}

# Uncompressed, or by pydicom's own Python (RLE): nothing there can crash.
_NATIVE = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
)

_J2K_START, _JPEG_START = b"\xff\x4f\xff\x51", b"\xff\xd8"
# Markers that start a frame: SOF0 to SOF15 and JPEG-LS's SOF55, without DHT, JPG and DAC.
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}


def values(dataset: Dataset, frames: Sequence[Frame], name: str) -> Iterator[np.ndarray]:
    """The frames' values `(row, column)` or `(row, column, colour)` in float32, one by one.

    Raises:
        UnreadableScanError: there are none, they end too early, or nobody here can decode them.
    """
    with reading(name):
        if not dataset.get("PixelData"):
            raise UnreadableScanError(f"{name} has no pixel data", hint=DAMAGED)
        syntax = dataset.file_meta.TransferSyntaxUID
        # Of an unknown syntax, the name would be whatever stands in the file.
        known = syntax.name != str(syntax)
        _check_decoder(str(syntax), str(syntax.name) if known else "an unknown syntax", name)
    for frame in frames:
        stored = _stored(dataset, frame, str(syntax), name)
        if stored.shape != (frame.rows, frame.columns, *_colour_axis(dataset)):
            raise UnreadableScanError(
                f"the pixels of {name} have another shape than its header says", hint=DAMAGED
            )
        yield _meant(stored, frame, dataset, name)


def claimed_size(encoded: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 stream claims; None: it does not say.

    A decoder allocates what the stream claims, whatever the DICOM header around it says.
    """
    if encoded[:4] == _J2K_START and len(encoded) >= 24:
        columns, rows, left, top = struct.unpack_from(">4I", encoded, 8)
        return rows - top, columns - left
    if encoded[:2] != _JPEG_START:
        return None
    at = 2
    while at + 9 <= len(encoded) and encoded[at] == 0xFF:
        marker = encoded[at + 1]
        if marker in _JPEG_FRAMES:
            rows, columns = struct.unpack_from(">2H", encoded, at + 5)
            return rows, columns
        # A run of 0xFF is filling; what follows a marker starts with its own length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(encoded[at + 2 : at + 4], "big")
    return None


def _stored(dataset: Dataset, frame: Frame, syntax: str, name: str) -> np.ndarray:
    from pydicom.pixels.utils import pixel_array

    if syntax in _NATIVE:
        with reading(name):
            several = frame_count(dataset) > 1
            return np.asarray(pixel_array(dataset, index=frame.index if several else None))
    encoded = _encoded(dataset, frame, name)
    _check_claim(encoded, frame, name)
    if syntax == _JPEG and is_damaged(encoded):
        raise UnreadableScanError(
            f"the compressed pixels of {name} cannot be decoded: they are damaged", hint=DAMAGED
        )
    with reading(name):
        known = {tag: _plain(dataset.get(tag)) for tag in DESCRIPTION}
    try:
        return decoder().decode(encoded, known, syntax=syntax, library=_DECODERS.get(syntax, ""))
    except DecoderError as error:
        raise UnreadableScanError(
            f"the compressed pixels of {name} cannot be decoded ({error})", hint=DAMAGED
        ) from error


def _meant(stored: np.ndarray, frame: Frame, dataset: Dataset, name: str) -> np.ndarray:
    """From stored values to those of the modality."""
    if stored.ndim == 3:
        return stored.astype(np.float32)
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels.processing import apply_color_lut

        with reading(name):
            colours = np.asarray(apply_color_lut(stored, dataset))
        return (colours >> (8 * (colours.itemsize - 1))).astype(np.float32)
    if "ModalityLUTSequence" in dataset:
        from pydicom.pixels.processing import apply_modality_lut

        with reading(name):
            found = np.asarray(apply_modality_lut(stored, dataset), np.float32)
            bits = int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
        return np.float32(2**bits - 1) - found if frame.inverted else found
    if frame.inverted:
        signed = dataset.get("PixelRepresentation") == 1
        highest = -1 if signed else 2 ** int(dataset.BitsStored) - 1
        stored = highest - stored.astype(np.int64)
    with np.errstate(over="ignore", invalid="ignore"):  # beyond float32: reported later
        return np.asarray(rescaled(stored, frame.slope, frame.intercept), np.float32)


def _encoded(dataset: Dataset, frame: Frame, name: str) -> bytes:
    from pydicom.encaps import get_frame

    count = frame_count(dataset)
    with reading(name):
        return bytes(get_frame(dataset.PixelData, frame.index, number_of_frames=count))


def _check_claim(encoded: bytes, frame: Frame, name: str) -> None:
    claimed = claimed_size(encoded)
    if claimed is not None and claimed != (frame.rows, frame.columns):
        raise UnreadableScanError(
            f"the compressed pixels of {name} claim {claimed[1]:,} × {claimed[0]:,}, its header "
            f"{frame.columns:,} × {frame.rows:,}",
            hint=DAMAGED,
        )


def _plain(value: object) -> str | int | None:
    return value if value is None or isinstance(value, str) else int(str(value))


def _colour_axis(dataset: Dataset) -> tuple[int, ...]:
    return (3,) if dataset.get("SamplesPerPixel") == 3 else ()


def _check_decoder(syntax: str, kind: str, name: str) -> None:
    if _can_decode(syntax):
        return
    raise UnreadableScanError(
        f"{name} is stored in {kind}, which no decoder here reads",
        hint="export it uncompressed or as JPEG 2000"
        + ("; or install pylibjpeg-libjpeg (GPL)" if syntax == _JPEG_12_BIT else ""),
    )


@functools.cache
def _can_decode(syntax: str) -> bool:
    from pydicom.pixels.decoders.base import get_decoder

    if syntax in _NATIVE:
        return True
    try:
        plugins = get_decoder(syntax).available_plugins
    except NotImplementedError:
        return False
    return _DECODERS[syntax] in plugins if syntax in _DECODERS else bool(plugins)
