"""PNG without its filters: chunks, and image data that ISA-L inflates and deflates.

W3C, Portable Network Graphics (third edition). zlib takes almost half of the time in which a
picture is decoded, and most of that in which a mask is encoded; ISA-L needs less than half of it.
What decodes the file afterwards need not inflate, and of a grey picture stored in colour, as slices
often are, it gets one colour only.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from isal import isal_zlib
from isal.igzip_lib import IsalError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_START = struct.Struct(">I4s").unpack_from  # length and kind; there are dozens in a picture
_CHECKSUM = struct.Struct(">I")
_HEADER = struct.Struct(">IIBBBBB")
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types
_SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}  # of a pixel
# Of the seven passes of an interlaced picture: first row and column, and steps between them.
_ADAM7 = (
    *((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)),
    *((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)),
)
_STORED = 2**16 - 1  # bytes in a block that is not compressed
_RUNS_ONLY = 1  # of ISA-L's levels 0 to 3: a mask has long runs, more is not worth the time


class Chunk(NamedTuple):
    """A part of a file; `whole` is all of it, `data` without length, kind and checksum."""

    kind: bytes
    data: memoryview
    whole: memoryview
    agrees: bool  # with its checksum


class Header(NamedTuple):
    """What the first chunk says."""

    width: int
    height: int
    depth: int  # bits of a sample
    colour: int  # type, as the specification counts them
    compression: int
    filtering: int
    interlaced: int

    @property
    def samples(self) -> int:
        """Of a pixel; 0 for a type that does not exist."""
        return _SAMPLES.get(self.colour, 0)

    @property
    def data_bytes(self) -> int:
        """How long the image data is once inflated: rows, each with the kind of its filter."""
        bits = self.depth * self.samples
        sizes = [(self.height, self.width)]
        if self.interlaced:
            sizes = [
                (-(-(self.height - row) // down), -(-(self.width - column) // right))
                for row, column, down, right in _ADAM7
            ]
        return sum(rows * (1 + -(-columns * bits // 8)) for rows, columns in sizes if columns > 0)


def chunks(content: bytes) -> Iterator[Chunk]:
    """The parts of a file up to its end.

    Raises:
        struct.error: the file ends before they do.
    """
    position = len(SIGNATURE)
    view = memoryview(content)
    kind = b""
    while kind != b"IEND":
        length, kind = _START(content, position)
        end = position + 8 + length
        (checksum,) = _CHECKSUM.unpack_from(content, end)
        agrees = isal_zlib.crc32(view[position + 4 : end]) == checksum
        yield Chunk(kind, view[position + 8 : end], view[position : end + 4], agrees)
        position = end + 4


def header(data: memoryview) -> Header:
    """What the data of an IHDR chunk says.

    Raises:
        struct.error: it is too short.
    """
    return Header(*_HEADER.unpack_from(data))


def inflated(data: Iterable[memoryview], size: int) -> bytes | None:
    """The first `size` bytes of image data; None if it is damaged, or there are fewer."""
    stream = isal_zlib.decompressobj()
    try:
        rows: bytes = stream.decompress(b"".join(data), size)
    except IsalError:  # type: ignore[misc]  # its stub takes the class for an instance
        return None
    return rows if len(rows) == size else None


def as_grey(header: Header, rows: bytes) -> bytes | None:
    """The rows of one colour, if all colours of 8 bits are equal in every pixel; else None.

    Filters foretell a sample from samples of its own colour: where colours are equal, so are the
    filtered ones, and where those are, so are the colours. Nothing has to be decoded to know it.
    """
    height, width, samples = header.height, header.width, header.samples
    if header.depth != 8 or header.colour not in (RGB, RGBA) or any(header[-3:]):
        return None  # the rest is for a decoder to judge
    lines = np.frombuffer(rows, np.uint8).reshape(height, 1 + width * samples)
    # Copied, or OpenCV would take three times as long to part them.
    filtered = np.ascontiguousarray(lines[:, 1:]).reshape(height, width, samples)
    red, green, blue = cv2.split(filtered)[:3]
    if cv2.norm(red, green, cv2.NORM_INF) > 0 or cv2.norm(red, blue, cv2.NORM_INF) > 0:
        return None
    return np.column_stack([lines[:, :1], red]).tobytes()


def header_chunk(width: int, height: int, depth: int, colour: int) -> bytes:
    """The first chunk of a file that is not interlaced."""
    return b"".join(_written(b"IHDR", [_HEADER.pack(width, height, depth, colour, 0, 0, 0)]))


def with_stored_data(before: Iterable[bytes | memoryview], rows: bytes) -> bytes:
    """A file of these chunks and then image data, as it is, which nobody has to inflate."""
    view = memoryview(rows)
    parts: list[bytes | memoryview] = [b"\x78\x01"]
    for start in range(0, len(rows), _STORED):
        block = view[start : start + _STORED]
        last = start + _STORED >= len(rows)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ _STORED), block]
    parts.append(_CHECKSUM.pack(isal_zlib.adler32(rows)))
    return b"".join([SIGNATURE, *before, *_written(b"IDAT", parts), *_written(b"IEND", [])])


def encode_grey(pixels: np.ndarray) -> bytes:
    """A picture `(height, width)` of uint8, quick to write where it has long runs."""
    height, width = pixels.shape
    rows = np.zeros((height, width + 1), np.uint8)  # the first byte of a row: no filter
    rows[:, 1:] = pixels
    data = _written(b"IDAT", [isal_zlib.compress(rows, _RUNS_ONLY)])
    head = header_chunk(width, height, 8, GREY)
    return b"".join([SIGNATURE, head, *data, *_written(b"IEND", [])])


def _written(kind: bytes, parts: list[bytes | memoryview]) -> list[bytes | memoryview]:
    """A chunk, in parts that need only be joined."""
    checksum = isal_zlib.crc32(kind)
    for part in parts:
        checksum = isal_zlib.crc32(part, checksum)
    length = sum(len(part) for part in parts)
    return [struct.pack(">I", length), kind, *parts, _CHECKSUM.pack(checksum)]
