"""PNG by ISA-L, against OpenCV and zlib; files are made here byte by byte, as independent truth."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from infer import png
from infer.readers.choice import USUAL
from infer.readers.picture_file import checked

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6
SAMPLES = {GREY: 1, COLOUR: 3, PALETTE: 1, GREY_ALPHA: 2, COLOUR_ALPHA: 4}
# As the specification prints the pattern: the pass in which each pixel of 8 by 8 is sent.
ADAM7 = np.array(
    [
        [1, 6, 4, 6, 2, 6, 4, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
        [5, 6, 5, 6, 5, 6, 5, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
        [3, 6, 4, 6, 3, 6, 4, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
        [5, 6, 5, 6, 5, 6, 5, 6],
        [7, 7, 7, 7, 7, 7, 7, 7],
    ]
)


def chunk(kind, content):
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def rows_of(pixels, depth):
    """Lines of samples `(height, width, sample)`, each after the filter that changes nothing."""
    lines = []
    for line in pixels:
        samples = line.reshape(-1)
        if depth == 16:
            packed = samples.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(samples.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            packed = np.packbits(bits).tobytes()
        lines.append(b"\0" + packed)
    return b"".join(lines)


def passes_of(pixels):
    """The smaller pictures that an interlaced one is sent as."""
    height, width = pixels.shape[:2]
    order = np.tile(ADAM7, (height // 8 + 1, width // 8 + 1))[:height, :width]
    for number in range(1, 8):
        rows = np.flatnonzero((order == number).any(axis=1))
        columns = np.flatnonzero((order == number).any(axis=0))
        if len(rows) and len(columns):
            yield pixels[np.ix_(rows, columns)]


def file_of(pixels, colour, depth, *, interlaced=False, cut=None, further=()):
    """A PNG of samples `(height, width, sample)`."""
    height, width = pixels.shape[:2]
    parts = passes_of(pixels) if interlaced else [pixels]
    data = zlib.compress(b"".join(rows_of(part, depth) for part in parts))[:cut]
    palette = np.random.default_rng(3).integers(0, 256, 3 * 2 ** min(depth, 8), np.uint8)
    third = len(data) // 3
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"".join(
        [
            png.SIGNATURE,
            chunk(b"IHDR", head),
            *further,
            chunk(b"PLTE", palette.tobytes()) if colour == PALETTE else b"",
            chunk(b"IDAT", data[:third]),
            chunk(b"IDAT", data[third:]),
            chunk(b"tEXt", b"Comment\0after the data"),
            chunk(b"IEND", b""),
        ]
    )


def whole_of(content):
    return checked(content, name="scan.png", choice=USUAL)


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


KINDS = [
    *((GREY, depth) for depth in (1, 2, 4, 8, 16)),
    *((PALETTE, depth) for depth in (1, 2, 4, 8)),
    *((colour, depth) for colour in (COLOUR, GREY_ALPHA, COLOUR_ALPHA) for depth in (8, 16)),
]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (5, 9), (40, 37)])
def test_stored_data_decodes_to_the_pixels_of_the_file(size, colour, depth, interlaced):
    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 2**depth, (*size, SAMPLES[colour]), np.uint16)
    content = file_of(pixels, colour, depth, interlaced=interlaced)
    expected = decoded(content)
    assert expected is not None
    np.testing.assert_array_equal(decoded(whole_of(content).content), expected)


FILTERS = {
    "none": cv2.IMWRITE_PNG_FILTER_NONE,
    "sub": cv2.IMWRITE_PNG_FILTER_SUB,
    "up": cv2.IMWRITE_PNG_FILTER_UP,
    "average": cv2.IMWRITE_PNG_FILTER_AVG,
    "paeth": cv2.IMWRITE_PNG_FILTER_PAETH,
    "all": cv2.IMWRITE_PNG_ALL_FILTERS,
}


def by_opencv(pixels, filters):
    return bytes(cv2.imencode(".png", pixels, (cv2.IMWRITE_PNG_FILTER, FILTERS[filters]))[1])


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("samples", [3, 4])
def test_grey_stored_in_colour_is_handed_on_as_grey(samples, filters):
    noise = np.random.default_rng(4).integers(0, 256, (31, 17), np.uint8)
    grey = cv2.blur(noise, (5, 5))
    colour = np.stack([grey] * 3 + [noise] * (samples - 3), axis=-1)
    content = whole_of(by_opencv(colour, filters)).content
    np.testing.assert_array_equal(decoded(content), grey)


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("at", [(0, 0), (30, 16), (11, 5)])
def test_one_pixel_of_another_colour_makes_a_colour_picture(at, filters):
    pixels = np.repeat(np.random.default_rng(5).integers(0, 255, (31, 17, 1), np.uint8), 3, axis=2)
    pixels[(*at, 1)] += 1
    content = whole_of(by_opencv(pixels, filters)).content
    np.testing.assert_array_equal(decoded(content), pixels)


def test_data_longer_than_one_stored_block_is_kept_whole():
    pixels = np.random.default_rng(1).integers(0, 256, (300, 500, 3), np.uint16)
    content = file_of(pixels, COLOUR, 8)
    found = decoded(whole_of(content).content)
    np.testing.assert_array_equal(found, pixels[..., ::-1])  # OpenCV's order is blue, green, red


def test_data_that_inflates_to_far_more_than_the_rows_is_not_inflated_further():
    rows = b"\0" + bytes(8)
    bomb = zlib.compress(rows + bytes(2**28))
    assert png.inflated([memoryview(bomb)], len(rows)) == rows


def test_the_still_picture_of_a_moving_one_is_read_and_the_row_says_so():
    pixels = np.random.default_rng(2).integers(0, 256, (6, 5, 1), np.uint16)
    moving = file_of(pixels, GREY, 8, further=[chunk(b"acTL", struct.pack(">II", 2, 0))])
    whole = whole_of(moving)
    np.testing.assert_array_equal(decoded(whole.content), pixels[..., 0])
    assert "moving picture" in whole.warnings[0]


@given(npst.arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70))))
def test_what_is_written_reads_back_equal(pixels):
    np.testing.assert_array_equal(decoded(png.encode_grey(pixels)), pixels)
