"""TIFF: pages are slices; files are made byte by byte here, as independent truth."""

import struct

import cv2
import numpy as np
import pytest

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.readers.choice import USUAL, Choice
from infer.readers.reading import claim_of, is_one_slice
from infer.readers.source import Source
from infer.readers.tiff_file import pages_of
from infer.slicing import from_slices, to_slices
from infer.writers import image as writer

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE = range(4)
UNASSOCIATED = 2
THUMBNAIL = 1


def tiff(*pages, order="<"):
    """Pages `(pixels, further tags)`, each with one strip: (width, height, samples) as tags say."""
    content = b"II*\0" if order == "<" else b"MM\0*"
    content += struct.pack(order + "I", 8)
    for number, (pixels, further) in enumerate(pages):
        height, width = pixels.shape[:2]
        samples = pixels.shape[2] if pixels.ndim == 3 else 1
        data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
        tags = {
            256: [width], 257: [height], 258: [8 * pixels.itemsize] * samples, 259: [1],
            262: [RGB if samples > 2 else BLACK_IS_ZERO], 273: [0], 277: [samples],
            278: [height], 279: [len(data)], **further,
        }  # fmt: skip
        start = len(content)
        after = start + 2 + 12 * len(tags) + 4
        entries, values = b"", b""
        for tag, numbers in sorted(tags.items()):
            kind = "I" if tag in (273, 279) else "H"
            packed = struct.pack(f"{order}{len(numbers)}{kind}", *numbers)
            place = packed.ljust(4, b"\0")
            if len(packed) > 4:
                place = struct.pack(order + "I", after + len(values))
                values += packed
            code = 4 if kind == "I" else 3
            entries += struct.pack(order + "HHI", tag, code, len(numbers)) + place
        at_data = after + len(values)
        strip = struct.pack(order + "HHI", 273, 4, 1)
        entries = entries.replace(strip + bytes(4), strip + struct.pack(order + "I", at_data))
        following = 0 if number == len(pages) - 1 else at_data + len(data)
        content += struct.pack(order + "H", len(tags)) + entries
        content += struct.pack(order + "I", following) + values + data
    return content


def pixels_of(*shape, dtype=np.uint8, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def stack_of(count, *shape, dtype=np.uint8):
    return np.stack([pixels_of(*shape, dtype=dtype, seed=at) for at in range(count)])


def read_picture(tmp_path, content):
    """Of one page `(row, column)`, of several `(page, row, column)`, from 0 to 1."""
    voxels = volume_of(tmp_path, content).voxels[0]
    return voxels if voxels.ndim == 2 else to_slices(voxels[np.newaxis], "axial")[:, 0]


def volume_of(tmp_path, content, choice=USUAL):
    (tmp_path / "a.tif").write_bytes(content)
    return read(tmp_path / "a.tif", choice)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pages_are_the_slices_of_a_volume_without_spacing(tmp_path, order, dtype):
    stack = stack_of(4, 6, 5, dtype=dtype)
    volume = volume_of(tmp_path, tiff(*[(page, {}) for page in stack], order=order))
    np.testing.assert_allclose(volume.voxels[0], stack / np.iinfo(dtype).max, rtol=1e-6)
    assert (volume.unit, volume.spacing_mm, volume.warnings) == ("display", None, ())
    assert volume.grid.shape == (4, 6, 5)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_pages_are_the_slices_that_the_model_looks_at_in_every_plane(tmp_path, plane):
    stack = stack_of(4, 6, 5)
    choice = Choice(volume=0, max_voxels=USUAL.max_voxels, plane=plane)
    volume = volume_of(tmp_path, tiff(*[(page, {}) for page in stack]), choice)
    slices = to_slices(volume.voxels, plane)[:, 0]
    np.testing.assert_allclose(slices, stack / 255, rtol=1e-6)
    back = from_slices(slices, plane, spatial=volume.voxels.shape[1:])
    np.testing.assert_array_equal(volume.grid.to_file(back), slices)


def test_a_mask_has_the_pages_of_its_scan(tmp_path):
    stack = stack_of(4, 6, 5)
    volume = volume_of(tmp_path, tiff(*[(page, {}) for page in stack]))
    content = writer.encode_mask_pages(volume.voxels[0] > 0.5, volume)
    done, pages = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert done
    np.testing.assert_array_equal(np.stack(pages), np.where(stack > 127, 255, 0))
    content = writer.encode_map(volume.voxels[0], volume)
    done, pages = cv2.imdecodemulti(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert done
    np.testing.assert_array_equal(np.stack(pages), volume.voxels[0])


def test_a_single_page_is_a_picture_whose_mask_is_a_single_page(tmp_path):
    volume = volume_of(tmp_path, tiff((pixels_of(6, 5), {})))
    assert volume.voxels.shape == (1, 6, 5)
    content = writer.encode_mask_pages(volume.voxels[0] > 0.5, volume)
    written = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, np.where(pixels_of(6, 5) > 127, 255, 0))


def test_one_coloured_page_makes_a_coloured_volume(tmp_path):
    grey, colour = pixels_of(6, 5), pixels_of(6, 5, 3)
    in_colour = np.repeat(grey[..., np.newaxis], 3, axis=2)
    volume = volume_of(tmp_path, tiff((in_colour, {}), (colour, {})))
    truth = np.stack([in_colour, colour]).transpose(3, 0, 1, 2) / 255
    np.testing.assert_allclose(volume.voxels, truth, rtol=1e-6)
    assert volume_of(tmp_path, tiff((in_colour, {}), (in_colour, {}))).voxels.shape[0] == 1


def test_a_thumbnail_is_no_slice(tmp_path):
    page, small = pixels_of(8, 6), pixels_of(4, 3)
    volume = volume_of(tmp_path, tiff((page, {}), (small, {254: [THUMBNAIL]})))
    np.testing.assert_allclose(volume.voxels, page[np.newaxis] / 255, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("pages", [1, 2])
def test_where_white_is_zero_it_is_white(tmp_path, dtype, pages):
    page = pixels_of(6, 5, dtype=dtype)
    white = np.iinfo(dtype).max
    volume = volume_of(tmp_path, tiff(*[(page, {262: [WHITE_IS_ZERO]})] * pages))
    truth = (white - page) / white
    np.testing.assert_allclose(volume.voxels.reshape(pages, 6, 5)[0], truth, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("pages", [1, 2])
def test_transparency_is_dropped_and_darkens_nothing(tmp_path, dtype, order, pages):
    page = pixels_of(6, 5, 4, dtype=dtype)
    content = tiff(*[(page, {338: [UNASSOCIATED]})] * pages, order=order)
    volume = volume_of(tmp_path, content)
    truth = np.moveaxis(page[..., :3], -1, 0) / np.iinfo(dtype).max
    np.testing.assert_allclose(volume.voxels.reshape(3, pages, 6, 5)[:, 0], truth, rtol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("shape", [(8, 8), (8, 6)], ids=["square", "tall"])
@pytest.mark.parametrize("pages", [1, 2])
def test_a_page_is_read_as_it_is_stored_whichever_way_it_is_to_be_shown(
    tmp_path, orientation, order, shape, pages
):
    stored = stack_of(pages, *shape)
    content = tiff(*((it, {274: [orientation]}) for it in stored), order=order)
    found = read_picture(tmp_path, content)
    np.testing.assert_allclose(found, np.squeeze(stored) / 255, atol=1e-6)


@pytest.mark.parametrize("bits", [2, 4])
def test_samples_that_no_decoder_reads_are_refused_by_the_header(tmp_path, bits):
    content = tiff((pixels_of(8, 8 * bits // 8), {256: [8], 258: [bits]}))
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(UnreadableScanError, match=f"samples of {bits} bits, which no decoder"):
        claim_of(Source(path), USUAL)


def test_a_palette_is_looked_up(tmp_path):
    numbers = np.array([[0, 1, 2]], np.uint8)
    colours = np.zeros((3, 256), int)
    colours[:, :3] = [[10, 40, 70], [20, 50, 80], [30, 60, 90]]
    page = (numbers, {262: [PALETTE], 320: (colours * 257).ravel().tolist()})
    volume = volume_of(tmp_path, tiff(page))
    np.testing.assert_allclose(volume.voxels[:, 0] * 255, colours[:, :3], rtol=1e-6)


@pytest.mark.parametrize("shades", [WHITE_IS_ZERO, BLACK_IS_ZERO])
def test_one_bit_is_black_or_white(tmp_path, shades):
    bits = pixels_of(6, 16) > 127
    packed = np.packbits(bits, axis=1)
    tags = {256: [16], 258: [1], 262: [shades]}
    volume = volume_of(tmp_path, tiff((packed, tags)))
    np.testing.assert_array_equal(volume.voxels[0], bits if shades == BLACK_IS_ZERO else ~bits)


PAGE = pixels_of(6, 5)
TWO = tiff((PAGE, {}), (PAGE, {}))
LOOP = bytearray(tiff((PAGE, {})))
LOOP[8 + 2 + 12 * 9 : 8 + 2 + 12 * 9 + 4] = struct.pack("<I", 8)  # after itself comes itself
HOSTILE = {
    "sizes": (tiff((PAGE, {}), (pixels_of(5, 6), {})), "pages of different sizes"),
    "kinds": (tiff((PAGE, {}), (pixels_of(6, 5, dtype=np.uint16), {})), "different sizes or kinds"),
    "only_thumbnails": (tiff((PAGE, {254: [THUMBNAIL]})), "no page that is a picture"),
    "second_page_cut": (TWO[:-3], "ends in the middle"),
    "endless": (bytes(LOOP), "list of pages has no end"),
    "huge": (tiff(*[(PAGE, {256: [60000], 257: [60000]})] * 2), "claims 2 × 60,000 × 60,000"),
    "transparent_grey": (tiff((pixels_of(6, 5, 2, dtype=np.uint16), {})), "without loss"),
    "five_samples": (tiff((pixels_of(6, 5, 5), {})), "without loss"),
    "signed": (tiff((PAGE.view(np.int8).astype(np.int16), {339: [2]})), "no white is defined"),
}


@pytest.mark.parametrize(
    ("kind", "numbers", "says"),
    [
        (np.uint32, 1, "unsigned integers of 32 bits"),
        (np.int16, 2, "signed integers of 16 bits"),
        (np.float16, 3, "floats of 16 bits"),
        (np.float32, 3, "floats of 32 bits"),
        (np.uint16, 4, "numbers of an unknown kind of 16 bits"),
    ],
)
def test_what_has_no_white_is_refused_by_its_header(tmp_path, kind, numbers, says):
    path = tmp_path / "a.tif"
    path.write_bytes(tiff((np.zeros((6, 5), kind), {339: [numbers]})))
    with pytest.raises(UnreadableScanError, match=f"{says}, for which no white is defined"):
        claim_of(Source(path), USUAL)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_volume_of_slices_is_refused_in_one_sentence(tmp_path, name, capfd):
    content, says = HOSTILE[name]
    with pytest.raises(UnreadableScanError, match=says) as caught:
        volume_of(tmp_path, content)
    assert str(caught.value).startswith("a.tif")
    assert capfd.readouterr() == ("", "")


def test_the_header_says_how_many_pages_there_are(tmp_path):
    for content, shape in ((TWO, (2, 6, 5)), (tiff((PAGE, {})), (6, 5))):
        (tmp_path / "a.tif").write_bytes(content)
        assert claim_of(Source(tmp_path / "a.tif"), USUAL).shape == shape
        assert is_one_slice(Source(tmp_path / "a.tif")) == (len(shape) == 2)
    small = Choice(volume=0, max_voxels=59, plane="axial")
    (tmp_path / "a.tif").write_bytes(TWO)
    with pytest.raises(UnreadableScanError, match=r"claims 2 × 6 × 5 voxels"):
        claim_of(Source(tmp_path / "a.tif"), small)


def jpeg_in_tiff(shape):
    """Strips of 32 rows, compressed as JPEG by libtiff; and the pixels they were made of."""
    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pixels = cv2.GaussianBlur(noise, (0, 0), 3)
    packed = (cv2.IMWRITE_TIFF_COMPRESSION, 7, cv2.IMWRITE_TIFF_ROWSPERSTRIP, 32)
    return bytearray(cv2.imencode(".tif", pixels, packed)[1].tobytes()), pixels


@pytest.mark.parametrize("shape", [(100, 90), (100, 90, 3)], ids=["grey", "colour"])
def test_jpeg_strips_that_are_whole_are_read(tmp_path, shape):
    content, pixels = jpeg_in_tiff(shape)
    (tmp_path / "scan.tif").write_bytes(content)
    found = read(tmp_path / "scan.tif").voxels * 255
    expected = pixels[..., ::-1].transpose(2, 0, 1) if pixels.ndim == 3 else pixels[np.newaxis]
    assert np.abs(found - expected).mean() < 3  # it loses something


@pytest.mark.parametrize("shape", [(100, 90), (100, 90, 3)], ids=["grey", "colour"])
def test_a_jpeg_strip_that_breaks_off_is_refused_and_not_filled_with_grey(tmp_path, shape):
    content, _ = jpeg_in_tiff(shape)
    (page,) = pages_of(bytes(content))
    assert len(page.jpeg) > 1
    start, length = page.jpeg[1]
    content[start + length // 2 : start + length] = bytes(length - length // 2)
    (tmp_path / "scan.tif").write_bytes(content)
    with pytest.raises(UnreadableScanError, match="does not give exactly all of its pixels"):
        read(tmp_path / "scan.tif")


def test_jpeg_strips_that_claim_far_more_than_their_page_are_not_decoded(tmp_path, monkeypatch):
    content, _ = jpeg_in_tiff((100, 90))
    (page,) = pages_of(bytes(content))
    for start, length in page.jpeg:
        frame = content.index(b"\xff\xc0", start, start + length)
        content[frame + 5 : frame + 9] = struct.pack(">HH", 60_000, 60_000)
    (tmp_path / "scan.tif").write_bytes(content)
    monkeypatch.setattr("infer.readers.picture_file.is_damaged", None)
    with pytest.raises(UnreadableScanError, match="does not give exactly all of its pixels"):
        read(tmp_path / "scan.tif")
