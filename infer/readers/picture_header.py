"""What a picture file claims to be: PNG, JPEG, BMP or TIFF, and how large, by its header alone."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from infer import png
from infer.errors import UnreadableScanError
from infer.readers.choice import Choice
from infer.readers.claim import Claim
from infer.readers.tiff_file import UNSIGNED, BadTiffError, Content, Page, is_tiff, pages_of
from infer.readers.voxel_stream import CUT_OFF

_NUMBERS = {UNSIGNED: "unsigned integers", 2: "signed integers", 3: "floats"}
_BITS_WITH_WHITE = 16  # no decoder here gives more of unsigned integers
_JPEG = b"\xff\xd8\xff"
_BMP = b"BM"
JPEG_SCAN = 0xDA  # the kind of the segment that compressed data follows
# No picture needs more bytes for a voxel (TIFF of 64 bits), and none more beside them.
_VOXEL_BYTES = 8
_OTHER_BYTES = 2**26


class Damage(Exception):
    """What is wrong with a file, without its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureHeader:
    """What the first bytes of a picture file say; of a TIFF, its list of pages."""

    format: str
    width: int
    height: int
    colours: int  # samples of a pixel, transparency included
    bits: int  # of a sample; of a palette, of its number
    pages: tuple[Page, ...] = ()  # of a TIFF


def header_of(content: Content, name: str, choice: Choice) -> PictureHeader:
    """What a picture claims to be; refused where that is too large.

    Raises:
        UnreadableScanError: it is empty, of another format, cut off within the header, too large.
    """
    if not len(content):
        raise UnreadableScanError(f"{name} is empty (0 bytes)", hint=CUT_OFF)
    try:
        header = _header(content)
        if header is None:
            raise UnreadableScanError(
                f"{name} is not a PNG, JPEG, TIFF or BMP picture, whatever its name says",
                hint="export it again, or remove it from the folder",
            )
        if header.width < 1 or header.height < 1:
            raise Damage(f"has no pixels ({header.width} × {header.height})")
    except (Damage, BadTiffError) as damage:
        raise UnreadableScanError(f"{name} {damage}", hint=CUT_OFF) from damage
    except (struct.error, IndexError, OverflowError) as error:  # of places beyond any file
        raise UnreadableScanError(f"{name} ends in the middle of its data", hint=CUT_OFF) from error
    choice.refuse_large(name, _shape(header), colours=header.colours)
    _refuse_different(header, name)
    _refuse_undecodable(header, name)
    _refuse_without_white(header, name)
    return header


def claim_of(content: Content, name: str, choice: Choice) -> Claim:
    """What would be read of a picture; see `header_of`."""
    header = header_of(content, name, choice)
    kind = f"uint{max(8, header.bits)}"
    return Claim(header.format, _shape(header), kind, colours=header.colours)


def refuse_large_file(size: int, name: str, choice: Choice) -> None:
    """Refuse a file that is larger than any picture that may be read, before it is.

    Raises:
        UnreadableScanError: it is.
    """
    if size > choice.max_voxels * _VOXEL_BYTES + _OTHER_BYTES:
        raise UnreadableScanError(
            f"{name} has {size:,} bytes, more than a picture of {choice.max_voxels:,} pixels can "
            "have (--max-voxels)",
            hint="score a smaller copy",
        )


def _shape(header: PictureHeader) -> tuple[int, ...]:
    """Rows and columns; of a volume, pages first."""
    count = sum(page.is_picture for page in header.pages)
    plane = (header.height, header.width)
    return (count, *plane) if count > 1 else plane


def _header(content: Content) -> PictureHeader | None:
    """None: of no format known here."""
    start = bytes(content[: len(png.SIGNATURE)])
    if start == png.SIGNATURE:
        return _png_header(content)
    if start.startswith(_JPEG):
        return _jpeg_header(content)
    if start.startswith(_BMP):
        return _bmp_header(content)
    return _tiff_header(content) if is_tiff(content) else None


def _png_header(content: Content) -> PictureHeader:
    at = len(png.SIGNATURE)
    _, kind = struct.unpack_from(">I4s", content, at)
    if kind != b"IHDR":
        raise Damage("holds no image data")
    header = png.header(memoryview(bytes(content[at + 8 : at + 21])))
    return PictureHeader(
        format="PNG",
        width=header.width,
        height=header.height,
        colours=header.samples,
        bits=header.depth,
    )


def jpeg_segments(content: Content) -> Iterator[tuple[int, int, int]]:
    """Kind, place and end of each segment; a file that ends before a scan does not end well.

    Raises:
        Damage: what follows is no segment.
        struct.error: the content ends first.
    """
    position = 2
    while True:
        marker, kind, length = struct.unpack_from(">BBH", content, position)
        if marker != 0xFF:
            raise Damage("is damaged: its segments do not follow each other")
        if kind == 0xFF:  # a fill byte
            position += 1
            continue
        yield kind, position, position + 2 + length
        position += 2 + length


def _jpeg_header(content: Content) -> PictureHeader:
    """The start of the frame, any coding, which lies before the first scan."""
    for kind, position, _ in jpeg_segments(content):
        if kind == JPEG_SCAN:
            break
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # which are tables
            bits, height, width, colours = struct.unpack_from(">BHHB", content, position + 4)
            return PictureHeader(
                format="JPEG", width=width, height=height, colours=colours, bits=bits
            )
    raise Damage("is damaged: it does not say how large it is")


def _bmp_header(content: Content) -> PictureHeader:
    width, height, _, depth = struct.unpack_from("<iiHH", content, 18)
    return PictureHeader(
        format="BMP",
        width=width,
        height=abs(height),
        colours=max(1, depth // 8),
        bits=min(depth, 8),
    )


def _tiff_header(content: Content) -> PictureHeader:
    pages = tuple(pages_of(content))
    first = next((page for page in pages if page.is_picture), None)
    if first is None:
        raise Damage("has no page that is a picture")
    return PictureHeader(
        format="TIFF",
        width=first.width,
        height=first.height,
        colours=first.colours,
        bits=first.bits,
        pages=pages,
    )


def _refuse_different(header: PictureHeader, name: str) -> None:
    """See that the pages of a TIFF are slices of one volume."""
    kinds = {
        (page.width, page.height, page.colours, page.bits)
        for page in header.pages
        if page.is_picture
    }
    if len(kinds) > 1:
        raise UnreadableScanError(
            f"{name} has pages of different sizes or kinds: they are not the slices of one volume",
            hint="save the page to score as a file of its own",
        )
    if header.format == "TIFF" and (
        header.colours > 4 or (header.colours == 2 and header.bits > 8)
    ):
        raise UnreadableScanError(
            f"{name} holds {header.colours} samples of {header.bits} bits for each pixel, which "
            "cannot be read without loss",
            hint="save it as grey or RGB, without transparency",
        )


def _refuse_undecodable(header: PictureHeader, name: str) -> None:
    """See that the samples of a TIFF have as many bits as the decoder knows."""
    if header.format == "TIFF" and 1 < header.bits < 8:
        raise UnreadableScanError(
            f"{name} holds samples of {header.bits} bits, which no decoder here reads",
            hint="save it with 8 or 16 bits a channel",
        )


def _refuse_without_white(header: PictureHeader, name: str) -> None:
    """See that the samples of a TIFF run from a black to a white."""
    for page in header.pages:
        if page.is_picture and (page.numbers != UNSIGNED or page.bits > _BITS_WITH_WHITE):
            kind = _NUMBERS.get(page.numbers, "numbers of an unknown kind")
            raise UnreadableScanError(
                f"{name} holds {kind} of {page.bits} bits, for which no white is defined",
                hint="save it with 8 or 16 bits a channel, or as NIfTI",
            )
