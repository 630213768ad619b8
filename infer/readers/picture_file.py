"""Is a picture file whole, and how large does it claim to be? Told before it is decoded.

Decoders fill what is missing with grey or black and say nothing: scored, it would be a finding.
"""

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from infer import png
from infer.errors import UnreadableScanError
from infer.volume import MAX_VOXELS

CUT_OFF = "it was probably cut off or damaged while copying: copy it again"

_PNG_DECISIVE = (b"IHDR", b"PLTE", b"tRNS")  # for the pixels; profiles and texts are not
_JPEG = b"\xff\xd8\xff"
_BMP = b"BM"
# Byte order and layout of a TIFF: order, offset size, format of counts, size of an entry.
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFF = {b"II+\0": "<", b"MM\0+": ">"}


class Whole(NamedTuple):
    """A picture file that is whole."""

    # For a decoder: the same pixels, perhaps in a form that it decodes faster. Grey that is stored
    # in colour may be grey.
    content: bytes
    warnings: tuple[str, ...]


class _Damage(Exception):
    """What is wrong with a file, without its name."""


def checked(content: bytes, *, name: str) -> Whole:
    """A picture file that is whole.

    Raises:
        UnreadableScanError: it is empty, of another format, cut off, damaged or too large.
    """
    if not content:
        raise UnreadableScanError(f"{name} is empty (0 bytes)", hint=CUT_OFF)
    try:
        return _checker(content)(content)
    except _Damage as damage:
        raise UnreadableScanError(f"{name} {damage}", hint=CUT_OFF) from damage
    except (struct.error, IndexError) as error:
        raise UnreadableScanError(f"{name} ends in the middle of its data", hint=CUT_OFF) from error
    except _TooLarge as error:
        raise UnreadableScanError(f"{name} {error}", hint="score a smaller copy") from error
    except _Foreign as error:
        raise UnreadableScanError(
            f"{name} is not a PNG, JPEG, TIFF or BMP picture, whatever its name says",
            hint="export it again, or remove it from the folder",
        ) from error


class _TooLarge(Exception):
    """A size that we refuse to allocate."""


class _Foreign(Exception):
    """None of our formats."""


def _checker(content: bytes) -> Callable[[bytes], Whole]:
    if content.startswith(png.SIGNATURE):
        return _check_png
    if content.startswith(_JPEG):
        return _check_jpeg
    if content[:4] in _TIFF or content[:4] in _BIG_TIFF:
        return _check_tiff
    if content.startswith(_BMP):
        return _check_bmp
    raise _Foreign


def _check_size(width: int, height: int, channels: int) -> None:
    if width < 1 or height < 1:
        raise _Damage(f"has no pixels ({width} × {height})")
    if width * height * channels > MAX_VOXELS:
        raise _TooLarge(f"claims {width:,} × {height:,} pixels, more than can be scored")


def _check_png(content: bytes) -> Whole:
    """Chunks with their checksums follow each other up to IEND, and hold all rows."""
    header = None
    moves = False
    decisive: list[bytes | memoryview] = []
    data = []
    for chunk in png.chunks(content):
        if not chunk.agrees:
            raise _Damage("is damaged: a checksum in it does not agree")
        if chunk.kind == b"IHDR":
            header = png.header(chunk.data)
            _check_size(header.width, header.height, header.samples)
        if chunk.kind == b"IDAT":
            data.append(chunk.data)
        if chunk.kind in _PNG_DECISIVE:
            decisive.append(chunk.whole)
        moves |= chunk.kind == b"acTL"
    if header is None or not data:
        raise _Damage("holds no image data")
    rows = png.inflated(data, header.data_bytes)
    if rows is None:
        raise _Damage("is damaged: its image data cannot be inflated to all of its rows")
    grey = png.as_grey(header, rows)
    if grey is not None:
        decisive = [png.header_chunk(header.width, header.height, header.depth, png.GREY)]
    warnings = ("it is a moving picture: its still picture was scored",) if moves else ()
    return Whole(png.with_stored_data(decisive, grey or rows), warnings)


def _check_jpeg(content: bytes) -> Whole:
    """Segments lead to the first scan; after it comes the end of the image."""
    position = 2
    while True:
        marker, kind, length = struct.unpack_from(">BBH", content, position)
        if marker != 0xFF:
            raise _Damage("is damaged: its segments do not follow each other")
        if kind == 0xFF:  # a fill byte
            position += 1
            continue
        # Start of frame, any coding; C4, C8 and CC are tables.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width, channels = struct.unpack_from(">HHB", content, position + 5)
            _check_size(width, height, channels)
        position += 2 + length
        if kind == 0xDA:  # compressed data: a byte FF in it is always followed by 0 or D0 to D7
            if content.rfind(b"\xff\xd9", position) < 0:
                raise _Damage("ends in the middle of its image data")
            return Whole(content, ())


def _check_bmp(content: bytes) -> Whole:
    """The rows lie within the file, where they are not compressed."""
    start, _, width, height, _, depth, packing = struct.unpack_from("<IIiiHHI", content, 10)
    _check_size(width, abs(height), max(1, depth // 8))
    row = (width * depth + 31) // 32 * 4
    if packing in (0, 3) and start + row * abs(height) > len(content):
        raise _Damage("ends in the middle of its image data")
    return Whole(content, ())


def _check_tiff(content: bytes) -> Whole:
    """The first page's strips or tiles lie within the file."""
    tags, further = _tiff_page(content)
    width, height = tags.get(256, [0])[0], tags.get(257, [0])[0]
    _check_size(width, height, tags.get(277, [1])[0])
    for starts, lengths in ((273, 279), (324, 325)):  # of strips, of tiles
        for start, length in zip(tags.get(starts, []), tags.get(lengths, []), strict=False):
            if start + length > len(content):
                raise _Damage("ends in the middle of its image data")
    return Whole(content, ("it has several pages: the first was scored",) if further else ())


def _tiff_page(content: bytes) -> tuple[dict[int, list[int]], bool]:
    """The integer tags of a TIFF's first page, and whether another follows."""
    big = content[:4] in _BIG_TIFF
    order = (_BIG_TIFF if big else _TIFF)[content[:4]]
    offset, entries, entry_size = ("Q", "Q", 20) if big else ("I", "H", 12)
    (page,) = struct.unpack_from(order + offset, content, 8 if big else 4)
    (count,) = struct.unpack_from(order + entries, content, page)
    first = page + struct.calcsize(entries)
    tags = {}
    for position in range(first, first + min(count, 2**12) * entry_size, entry_size):
        tag, kind, values = struct.unpack_from(f"{order}HH{offset}", content, position)
        if kind in _TIFF_INTEGERS:
            at = position + 4 + struct.calcsize(offset)
            tags[tag] = list(_tiff_values(content, order, offset, kind, values, at))
    (following,) = struct.unpack_from(order + offset, content, first + count * entry_size)
    return tags, following != 0


# TIFF 6.0 section 2 and BigTIFF: byte, short, long, long8.
_TIFF_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


def _tiff_values(
    content: bytes, order: str, offset: str, kind: int, count: int, at: int
) -> Iterator[int]:
    size = struct.calcsize(_TIFF_INTEGERS[kind])
    if count * size > len(content):
        raise _Damage("is damaged: its table of contents is longer than the file")
    if count * size > struct.calcsize(offset):  # they lie elsewhere: here is where
        (at,) = struct.unpack_from(order + offset, content, at)
    yield from struct.unpack_from(f"{order}{count}{_TIFF_INTEGERS[kind]}", content, at)
