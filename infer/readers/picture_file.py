"""Is a picture file whole, from its header to its end? Told before it is decoded.

Decoders fill what is missing with grey or black and say nothing: scored, it would be a finding.
"""

import struct
from collections.abc import Callable
from typing import NamedTuple

from infer import png
from infer.errors import UnreadableScanError
from infer.readers.choice import Choice
from infer.readers.jpeg_stream import claimed_pixels, is_damaged
from infer.readers.picture_header import JPEG_SCAN, Damage, PictureHeader, header_of, jpeg_segments
from infer.readers.tiff_file import Page, jpeg_streams
from infer.readers.voxel_stream import CUT_OFF

# A tile may be larger than its page, and the last of a row goes beyond it.
_TILE_PIXELS = 2**22
_PNG_DECISIVE = (b"IHDR", b"PLTE", b"tRNS")  # for the pixels; profiles and texts are not


class Whole(NamedTuple):
    """A picture file that is whole."""

    header: PictureHeader
    # For a decoder: the same pixels, perhaps in a form that it decodes faster or better. Grey that
    # is stored in colour may be grey.
    content: bytes
    warnings: tuple[str, ...]


def checked(content: bytes, *, name: str, choice: Choice) -> Whole:
    """A picture file that is whole.

    Raises:
        UnreadableScanError: it is empty, of another format, cut off, damaged or too large.
    """
    header = header_of(content, name, choice)
    try:
        decodable, warnings = _CHECKS[header.format](content, header)
    except Damage as damage:
        raise UnreadableScanError(f"{name} {damage}", hint=CUT_OFF) from damage
    except (struct.error, IndexError) as error:
        raise UnreadableScanError(f"{name} ends in the middle of its data", hint=CUT_OFF) from error
    return Whole(header, decodable, warnings)


def _check_png(content: bytes, _: PictureHeader) -> tuple[bytes, tuple[str, ...]]:
    """Chunks with their checksums follow each other up to IEND, and hold all rows."""
    header = None
    moves = False
    decisive: list[bytes | memoryview] = []
    data = []
    for chunk in png.chunks(content):
        if not chunk.agrees:
            raise Damage("is damaged: a checksum in it does not agree")
        if chunk.kind == b"IHDR":
            header = png.header(chunk.data)
        if chunk.kind == b"IDAT":
            data.append(chunk.data)
        if chunk.kind in _PNG_DECISIVE:
            decisive.append(chunk.whole)
        moves |= chunk.kind == b"acTL"
    if header is None or not data:
        raise Damage("holds no image data")
    rows = png.inflated(data, header.data_bytes)
    if rows is None:
        raise Damage("is damaged: its image data cannot be inflated to all of its rows")
    grey = png.as_grey(header, rows)
    if grey is not None:
        decisive = [png.header_chunk(header.width, header.height, header.depth, png.GREY)]
    warnings = ("it is a moving picture: its still picture was scored",) if moves else ()
    return png.with_stored_data(decisive, grey or rows), warnings


def _check_jpeg(content: bytes, _: PictureHeader) -> tuple[bytes, tuple[str, ...]]:
    """Segments lead to the first scan; after it comes the end of the image, data between them."""
    scan = next(end for kind, _, end in jpeg_segments(content) if kind == JPEG_SCAN)
    # Compressed data: a byte FF in it is always followed by 0 or D0 to D7.
    if content.rfind(b"\xff\xd9", scan) < 0:
        raise Damage("ends in the middle of its image data")
    if is_damaged(content):
        raise Damage("is damaged: its image data does not give exactly all of its pixels")
    return content, ()


def _check_bmp(content: bytes, header: PictureHeader) -> tuple[bytes, tuple[str, ...]]:
    """The rows lie within the file, where they are not compressed."""
    (start,) = struct.unpack_from("<I", content, 10)
    depth, packing = struct.unpack_from("<HI", content, 28)
    row = (header.width * depth + 31) // 32 * 4
    if packing in (0, 3) and start + row * header.height > len(content):
        raise Damage("ends in the middle of its image data")
    return content, ()


def _check_tiff(content: bytes, header: PictureHeader) -> tuple[bytes, tuple[str, ...]]:
    """All strips or tiles of all pages lie within the file, and those that are JPEG are whole."""
    if max(page.end for page in header.pages) > len(content):
        raise Damage("ends in the middle of its image data")
    for page in header.pages:
        if page.is_picture:
            _check_jpeg_streams(content, page)
    # The decoder would darken colours by their transparency, which we drop. Told that the further
    # sample means nothing, it leaves them as they are stored. And it would turn pixels as they are
    # to be shown, where a mask must lie on them as they are stored.
    changes = [(it.unassociated, b"\0\0") for it in header.pages if it.unassociated is not None]
    changes += [it.turned for it in header.pages if it.turned is not None]
    if not changes:
        return content, ()
    changed = bytearray(content)
    for at, said in changes:
        changed[at : at + len(said)] = said
    return bytes(changed), ()


def _check_jpeg_streams(content: bytes, page: Page) -> None:
    """Streams that claim much more than their page would take a decoder for ever."""
    most = 2 * page.width * page.height + _TILE_PIXELS
    claimed = 0
    for stream in jpeg_streams(content, page):
        claimed += claimed_pixels(stream)
        if claimed > most or is_damaged(stream):
            raise Damage("is damaged: its image data does not give exactly all of its pixels")


_CHECKS: dict[str, Callable[[bytes, PictureHeader], tuple[bytes, tuple[str, ...]]]] = {
    "PNG": _check_png,
    "JPEG": _check_jpeg,
    "BMP": _check_bmp,
    "TIFF": _check_tiff,
}
