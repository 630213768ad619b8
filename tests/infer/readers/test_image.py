"""Pictures → volumes; PNG files are made here byte by byte, as independent truth."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.writers import image as writer
from infer.writers.atomic import write_bytes

GREY, COLOUR, PALETTE, GREY_ALPHA, COLOUR_ALPHA = 0, 2, 3, 4, 6


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(pixels, colour, *, depth=8, size=None, palette=None):
    """A PNG of pixels `(height, width[, channel])` of big-endian samples."""
    height, width = size or pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
        + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def pixels_of(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def volume_of(tmp_path, content, name="scan.png"):
    (tmp_path / name).write_bytes(content)
    return read(tmp_path / name)


def test_a_grey_picture_has_one_channel_from_black_0_to_white_1(tmp_path):
    pixels = np.array([[0, 255], [51, 128]], np.uint8)
    volume = volume_of(tmp_path, png(pixels, GREY))
    np.testing.assert_allclose(volume.voxels, [[[0, 1], [0.2, 128 / 255]]], rtol=1e-6)
    assert volume.unit == "display"
    assert volume.spacing_mm is None
    assert volume.grid.shape == (2, 2)


def test_sixteen_bits_keep_their_precision(tmp_path):
    pixels = np.array([[0, 1], [65535, 256]], ">u2")
    volume = volume_of(tmp_path, png(pixels, GREY, depth=16))
    np.testing.assert_allclose(volume.voxels, [[[0, 1 / 65535], [1, 256 / 65535]]], rtol=1e-6)


@pytest.mark.parametrize(("colour", "channels"), [(COLOUR, 3), (COLOUR_ALPHA, 4)])
def test_colours_come_as_red_green_blue_without_transparency(tmp_path, colour, channels):
    pixels = pixels_of(5, 4, channels)
    volume = volume_of(tmp_path, png(pixels, colour))
    truth = np.moveaxis(pixels[..., :3], -1, 0) / 255
    np.testing.assert_allclose(volume.voxels, truth, rtol=1e-6)


def test_a_palette_is_looked_up(tmp_path):
    palette = bytes([9, 20, 30, 40, 50, 60])
    volume = volume_of(
        tmp_path, png(np.array([[0, 1]], np.uint8), PALETTE, palette=palette), "a.png"
    )
    np.testing.assert_allclose(volume.voxels[:, 0] * 255, [[9, 40], [20, 50], [30, 60]], rtol=1e-6)


@pytest.mark.parametrize(
    ("colour", "repeats"), [(COLOUR, [3]), (COLOUR_ALPHA, [4]), (GREY_ALPHA, [2])]
)
def test_grey_stored_in_colour_or_with_transparency_has_one_channel(tmp_path, colour, repeats):
    grey = pixels_of(5, 4)
    stored = np.repeat(grey[..., np.newaxis], repeats, axis=2)
    volume = volume_of(tmp_path, png(stored, colour))
    np.testing.assert_allclose(volume.voxels, grey[np.newaxis] / 255, rtol=1e-6)


@pytest.mark.parametrize("ending", [".tif", ".TIFF", ".bmp"])
def test_lossless_formats_give_back_the_pixels(tmp_path, ending):
    pixels = pixels_of(6, 5, 3)
    volume = volume_of(tmp_path, cv2.imencode(ending, pixels)[1].tobytes(), f"scan{ending}")
    truth = np.moveaxis(pixels[..., ::-1], -1, 0) / 255  # OpenCV writes blue first
    np.testing.assert_allclose(volume.voxels, truth, rtol=1e-6)


def test_a_smooth_jpeg_is_close_to_its_pixels(tmp_path):
    pixels = np.tile(np.arange(64, dtype=np.uint8) * 3, (32, 1))
    volume = volume_of(tmp_path, cv2.imencode(".jpg", pixels)[1].tobytes(), "scan.jpg")
    np.testing.assert_allclose(volume.voxels[0], pixels / 255, atol=3 / 255)  # lossy


def test_a_rotation_in_the_exif_data_does_not_turn_the_file_s_grid(tmp_path):
    jpeg = cv2.imencode(".jpg", pixels_of(20, 30))[1].tobytes()
    turned = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    marked = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(turned) + 2) + turned + jpeg[2:]
    assert cv2.imdecode(np.frombuffer(marked, np.uint8), 1).shape == (30, 20, 3)  # it is there
    assert volume_of(tmp_path, marked, "scan.jpg").grid.shape == (20, 30)


PNG = png(pixels_of(12, 10), GREY)
HOSTILE = {
    "empty.png": (b"", "is empty"),
    "text.png": (b"patient,score\n1,2\n", "is not a PNG"),
    "text.tif": (b"II, the second\n", "is not a PNG"),
    "half.png": (PNG[: len(PNG) // 2], "ends in the middle"),
    "no_end.png": (PNG[:-12], "ends in the middle"),
    "only_signature.png": (PNG[:8], "ends in the middle"),
    "flipped_bit.png": (PNG[:100] + bytes([PNG[100] ^ 1]) + PNG[101:], "checksum"),
    "huge.png": (png(pixels_of(4, 4), GREY, size=(100_000, 100_000)), "more than can be scored"),
    "no_pixels.png": (png(pixels_of(4, 4), GREY, size=(0, 4)), "no pixels"),
    "no_data.png": (PNG[:33] + PNG[-12:], "no image data"),
}
for _ending in (".jpg", ".tif", ".bmp"):
    _whole = cv2.imencode(_ending, pixels_of(60, 50))[1].tobytes()
    for _share in (1, 3, 5, 7):
        _cut = _whole[: len(_whole) * _share // 8]
        HOSTILE[f"cut_{_share}_of_8{_ending}"] = (_cut, "ends in the middle")
HOSTILE["floats.tif"] = (
    cv2.imencode(".tif", np.zeros((4, 4), np.float32))[1].tobytes(),
    "no white is defined",
)
HOSTILE["huge.jpg"] = (
    b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 65000, 65000, 3) + bytes(9),
    "more than can be scored",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_a_whole_picture_is_refused_in_one_sentence(tmp_path, name, capfd):
    content, says = HOSTILE[name]
    with pytest.raises(UnreadableScanError, match=says) as caught:
        volume_of(tmp_path, content, name)
    assert str(caught.value).startswith(name)
    assert capfd.readouterr() == ("", "")  # decoders must not speak to the user


def test_a_png_with_fewer_rows_than_it_says_is_not_filled_up(tmp_path):
    with pytest.raises(UnreadableScanError, match="all of its rows"):
        volume_of(tmp_path, png(pixels_of(4, 40), GREY, size=(400, 40)))


def test_every_cut_of_a_png_is_noticed(tmp_path):
    for length in range(len(PNG)):
        with pytest.raises(UnreadableScanError):
            volume_of(tmp_path, PNG[:length])


@pytest.mark.parametrize("shape", [(7, 5), (1, 9), (33, 64)])
def test_a_mask_lies_pixel_for_pixel_over_its_picture(tmp_path, shape):
    volume = volume_of(tmp_path, png(pixels_of(*shape), GREY))
    mask = np.random.default_rng(1).random(shape) > 0.5
    write_bytes(tmp_path / "deep" / "mask.png", writer.encode_mask(mask, volume))
    written = cv2.imread(str(tmp_path / "deep" / "mask.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, np.where(mask, 255, 0))
    assert written.dtype == np.uint8
