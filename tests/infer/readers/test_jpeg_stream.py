"""Damaged JPEG: what a decoder would fill with grey is refused; what none can tell is measured."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from infer.errors import UnreadableScanError
from infer.readers import read, read_series
from infer.readers.jpeg_stream import is_damaged
from tests.infer.dicom_files import base, saved, with_pixels

PAGE = (Path(__file__).parents[3] / "docs/uad-infer.md").read_text()
SIZE = 512
END = b"\xff\xd9"
CHANGES = 500


def picture():
    """Smooth shapes and the noise of a detector."""
    row, column = np.mgrid[:SIZE, :SIZE]
    head = 60 * np.exp(-((column - 250) ** 2 + (row - 260) ** 2) / 2e4)
    noise = np.random.default_rng(0).normal(0, 5, (SIZE, SIZE))
    return np.clip(110 + head + 25 * np.sin(column / 17) + noise, 0, 255).astype(np.uint8)


def coded(*options, pixels=None):
    pixels = picture() if pixels is None else pixels
    return cv2.imencode(".jpg", pixels, options)[1].tobytes()


BASELINE = coded()
PROGRESSIVE = coded(cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
WITH_RESTARTS = coded(cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
COLOUR = coded(pixels=cv2.applyColorMap(picture(), cv2.COLORMAP_HOT))
KINDS = {
    "baseline": BASELINE,
    "progressive": PROGRESSIVE,
    "with restarts": WITH_RESTARTS,
    "colour": COLOUR,
}
WHOLE = KINDS | {
    "optimised": coded(cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "progressive colour": coded(
        cv2.IMWRITE_JPEG_PROGRESSIVE, 1, pixels=cv2.applyColorMap(picture(), cv2.COLORMAP_HOT)
    ),
    "one pixel": coded(pixels=picture()[:1, :1]),
    "odd sizes": coded(pixels=picture()[:33, :401]),
    "another file after it": BASELINE + PROGRESSIVE[:-100],
}


def first_byte(content):
    """Where compressed data begins: after the first scan's header."""
    at = content.index(b"\xff\xda")
    return at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")


def places(content, count=50, *, before_end=1):
    rng = np.random.default_rng(1)
    return [int(it) for it in rng.integers(first_byte(content), len(content) - before_end, count)]


def refused(tmp_path, content):
    (tmp_path / "scan.jpg").write_bytes(content)
    try:
        read(tmp_path / "scan.jpg")
    except UnreadableScanError:
        return True
    return False


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_whole_is_read(tmp_path, kind):
    assert not is_damaged(WHOLE[kind])
    assert not refused(tmp_path, WHOLE[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_data_that_breaks_off_before_the_end_is_refused(kind):
    for at in places(KINDS[kind], before_end=2000):
        assert is_damaged(KINDS[kind][:at] + END)


@pytest.mark.parametrize("kind", KINDS)
def test_a_block_of_something_else_is_noticed(kind):
    content = KINDS[kind]
    for at in places(content, before_end=2000):
        noise = np.random.default_rng(at).bytes(512)
        assert is_damaged(content[:at] + noise + content[at + 512 :])


def test_the_reason_is_a_sentence(tmp_path):
    (tmp_path / "scan.jpg").write_bytes(BASELINE[:-9000] + END)
    with pytest.raises(UnreadableScanError) as caught:
        read(tmp_path / "scan.jpg")
    assert str(caught.value) == (
        "scan.jpg is damaged: its image data does not give exactly all of its pixels"
    )
    assert "copy it again" in caught.value.hint


def changed(content):
    """The content with one of its bytes changed, any but the first two, in many ways."""
    rng = np.random.default_rng(0)
    for _ in range(CHANGES):
        at, by = rng.integers(2, len(content)), rng.integers(1, 256)
        yield content[:at] + bytes([content[at] ^ by]) + content[at + 1 :]


@pytest.mark.parametrize("kind", ["baseline", "progressive"])
def test_as_many_changes_of_one_byte_are_noticed_as_the_page_says_and_nothing_is_printed(
    tmp_path, kind, capfd
):
    noticed = sum(refused(tmp_path, content) for content in changed(KINDS[kind]))
    said = re.search(rf"(\d+) % in a {kind} JPEG", " ".join(PAGE.split()))
    assert noticed / CHANGES == pytest.approx(int(said[1]) / 100, abs=0.03)
    assert capfd.readouterr() == ("", "")


def test_damaged_jpeg_in_dicom_is_refused(tmp_path):
    def series_of(content):
        dataset = with_pixels(base(), picture(), bits=8)
        path = saved(dataset, tmp_path / "scan.dcm")
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([content])
        dataset["PixelData"].is_undefined_length = True
        dataset["PixelData"].VR = "OB"
        del dataset.ImageType
        dataset.Modality = "DX"
        dataset.save_as(path, enforce_file_format=True)
        return [path]

    volume, _ = read_series(series_of(BASELINE))
    truth = cv2.imdecode(np.frombuffer(BASELINE, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(volume.voxels[0, 0] * 255, truth, atol=1)
    with pytest.raises(UnreadableScanError, match=r"scan\.dcm cannot be decoded: they are damaged"):
        read_series(series_of(BASELINE[:-9000] + END))
