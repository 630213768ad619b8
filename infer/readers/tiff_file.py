"""The pages of a TIFF file and what its tags say of them (TIFF 6.0; BigTIFF)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

Content: TypeAlias = bytes | memoryview

# Byte order by the first bytes.
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
_BIG_TIFF = {b"II+\0": "<", b"MM\0+": ">"}
# Integers, by the kind of a tag (section 2): byte, short, long, long8.
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MOST_PAGES = 2**16

_KIND, _WIDTH, _HEIGHT, _BITS, _PACKING, _SHADES, _SAMPLES, _EXTRA, _NUMBERS, _JPEG_TABLES = (
    *(254, 256, 257, 258, 259, 262),
    *(277, 338, 339, 347),
)
_ORIENTATION = 274
_DATA = ((273, 279), (324, 325))  # starts and lengths of strips, of tiles
_REDUCED, _TRANSPARENCY = 1, 4  # bits of `_KIND`: a thumbnail of another page, a mask for one
_WHITE_IS_ZERO = 0  # of `_SHADES`
_UNASSOCIATED = 2  # of `_EXTRA`
_UPRIGHT = 1  # of `_ORIENTATION`: the first row is the top, the first column the left
UNSIGNED = 1  # of `_NUMBERS`, where it says nothing, too
_JPEG = 7  # of `_PACKING` (TIFF Technical Note 2)
_BYTES = 7  # the kind of a tag that holds bytes of no meaning here


class BadTiffError(Exception):
    """What is wrong with a file, without its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One picture of the file."""

    width: int
    height: int
    colours: int  # samples of a pixel, transparency included
    bits: int  # of a sample
    numbers: int  # what a sample is: unsigned, 2 signed, 3 a float
    is_picture: bool  # not a thumbnail or a mask of another page
    white_is_zero: bool
    unassociated: int | None  # where the file says that colours do not depend on transparency
    # Where the file says that it is to be turned for display, and what would say that it is not.
    turned: tuple[int, bytes] | None
    end: int  # of its data, in the file
    jpeg: tuple[tuple[int, int], ...]  # start and length of each JPEG stream; empty: it has none
    jpeg_tables: bytes  # a stream of its own that all of them rely on, or empty


def is_tiff(content: Content) -> bool:
    """Do the first bytes say so?"""
    start = bytes(content[:4])
    return start in _TIFF or start in _BIG_TIFF


def pages_of(content: Content) -> Iterator[Page]:
    """All pages, in order.

    Raises:
        BadTiffError, struct.error: the file is damaged.
    """
    big = bytes(content[:4]) in _BIG_TIFF
    order = (_BIG_TIFF if big else _TIFF)[bytes(content[:4])]
    (position,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
    seen: set[int] = set()
    while position:
        if position in seen or len(seen) == _MOST_PAGES:
            raise BadTiffError("is damaged: its list of pages has no end")
        seen.add(position)
        tags, places, position = _tags(content, position, order, big=big)
        yield _page(tags, places, order)


def _page(tags: dict[int, list[int]], places: dict[int, tuple[int, str]], order: str) -> Page:
    first = {tag: values[0] for tag, values in tags.items() if values}
    pieces = [
        piece
        for starts, lengths in _DATA
        for piece in zip(tags.get(starts, []), tags.get(lengths, []), strict=False)
    ]
    return Page(
        width=first.get(_WIDTH, 0),
        height=first.get(_HEIGHT, 0),
        colours=first.get(_SAMPLES, 1),
        bits=first.get(_BITS, 1),
        numbers=first.get(_NUMBERS, UNSIGNED),
        is_picture=not first.get(_KIND, 0) & (_REDUCED | _TRANSPARENCY),
        white_is_zero=first.get(_SHADES) == _WHITE_IS_ZERO,
        unassociated=places[_EXTRA][0] if tags.get(_EXTRA) == [_UNASSOCIATED] else None,
        turned=_turned(places[_ORIENTATION], order)
        if first.get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
        else None,
        end=max(map(sum, pieces), default=0),
        jpeg=tuple(pieces) if first.get(_PACKING) == _JPEG else (),
        jpeg_tables=bytes(tags.get(_JPEG_TABLES, [])),
    )


def _turned(place: tuple[int, str], order: str) -> tuple[int, bytes]:
    at, kind = place
    return at, struct.pack(order + kind, _UPRIGHT)


def jpeg_streams(content: bytes, page: Page) -> Iterator[bytes]:
    """Each of a page's JPEG streams, complete: its own data after the tables that all share."""
    for start, length in page.jpeg:
        own = content[start : start + length]
        # Each of the two begins with a marker of two bytes, and the tables end with one.
        yield page.jpeg_tables[:-2] + own[2:] if page.jpeg_tables else own


def _tags(
    content: Content, position: int, order: str, *, big: bool
) -> tuple[dict[int, list[int]], dict[int, tuple[int, str]], int]:
    """The integer tags of a page, where their values lie and as what, and where the next page is
    (0: none)."""
    offset, entries, entry_bytes = ("Q", "Q", 20) if big else ("I", "H", 12)
    (count,) = struct.unpack_from(order + entries, content, position)
    first = position + struct.calcsize(entries)
    tags, places = {}, {}
    for at in range(first, first + min(count, 2**12) * entry_bytes, entry_bytes):
        tag, kind, values = struct.unpack_from(f"{order}HH{offset}", content, at)
        if kind in _INTEGERS or (tag, kind) == (_JPEG_TABLES, _BYTES):
            place, integers = at + 4 + struct.calcsize(offset), _INTEGERS.get(kind, "B")
            places[tag] = place, integers
            tags[tag] = _values(content, order, offset, integers, values, place)
    (following,) = struct.unpack_from(order + offset, content, first + count * entry_bytes)
    return tags, places, following


def _values(content: Content, order: str, offset: str, kind: str, count: int, at: int) -> list[int]:
    size = struct.calcsize(kind)
    if count * size > len(content):
        raise BadTiffError("is damaged: its table of contents is longer than the file")
    if count * size > struct.calcsize(offset):  # they lie elsewhere: here is where
        (at,) = struct.unpack_from(order + offset, content, at)
    return list(struct.unpack_from(f"{order}{count}{kind}", content, at))
