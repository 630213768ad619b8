"""Valid files, damaged at random: refused in words or read as what they say; never worse.

The same damage on every machine. For a longer search with other damage each time:
UAD_FUZZ_EXAMPLES=5000 pytest tests/infer/test_fuzzed_input.py
"""

import gzip
import io
import itertools
import os
import struct
import zlib
from datetime import timedelta
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from infer import png
from infer.engine import read_manifest
from infer.errors import BadModelError, UadError, UnreadableScanError
from infer.manifest import from_json, to_json
from infer.readers import read
from infer.readers.choice import Choice
from infer.readers.reading import claim_of
from infer.readers.source import Source
from tests.infer.dicom_files import SECRETS, head, series
from tests.infer.tiny_model import MANIFEST, save, tiny_graph

MAX_VOXELS = 2**20
CHOICE = Choice(volume=0, max_voxels=MAX_VOXELS, plane="axial")
MOST_BYTES = 2**27  # while one is read: a voxel takes 4, and is copied a few times
ASKED = os.environ.get("UAD_FUZZ_EXAMPLES")
EXAMPLES = int(ASKED or 150)


def picture(ending, pixels, *options):
    return cv2.imencode(ending, pixels, options)[1].tobytes()


def grey(kind=np.uint8):
    return (head(shape=(1, 9, 11))[0] * (np.iinfo(kind).max // 99)).astype(kind)


def colour():
    return np.stack([grey(), grey().T.reshape(9, 11), 255 - grey()], axis=-1)


def with_profile(content):
    """A PNG whose data is in two chunks, with a chunk that is not decisive before them."""
    header, data, end = (bytes(chunk.whole) for chunk in png.chunks(content))
    packed = data[8:-4]
    half = len(packed) // 2
    chunks = [(b"tEXt", b"Comment\0none"), (b"IDAT", packed[:half]), (b"IDAT", packed[half:])]
    written = (
        struct.pack(">I", len(it)) + kind + it + struct.pack(">I", zlib.crc32(kind + it))
        for kind, it in chunks
    )
    return b"".join([png.SIGNATURE, header, *written, end])


def nifti(**said):
    image = nibabel.Nifti1Image(head(shape=(4, 5, 6)).astype(np.int16), np.diag([2, 2, 3, 1]))
    for name, value in said.items():
        image.header[name] = value
    return image.to_bytes()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def dicom(folder, syntax=None, size=(12, 10)):
    series(folder, head(shape=(1, *size)), syntax=syntax)
    return next(folder.iterdir()).read_bytes()


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    """File name → content, each a scan that is read."""
    folder = tmp_path_factory.mktemp("valid")
    return {
        "grey.png": picture(".png", grey()),
        "deep.png": picture(".png", grey(np.uint16)),
        "colour.png": with_profile(picture(".png", colour())),
        "grey.jpg": picture(".jpg", grey()),
        "colour.jpg": picture(".jpg", colour(), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        "grey.tif": picture(".tif", grey(np.uint16)),
        "pages.tif": cv2.imencodemulti(".tif", [grey(), grey()[::-1]])[1].tobytes(),
        "colour.bmp": picture(".bmp", colour()),
        "volume.nii": nifti(scl_slope=2, scl_inter=-1),
        "volume.nii.gz": gzip.compress(nifti(), mtime=0),
        "flat.npy": npy(colour()),
        "volume.npy": npy(np.asfortranarray(head().astype(np.float32))),
        "native.dcm": dicom(folder / "native"),
        "rle.dcm": dicom(folder / "rle", RLELossless),
    }


# Of the same names, which a parametrisation needs before any file is made.
NAMES = (
    *("grey.png", "deep.png", "colour.png", "grey.jpg", "colour.jpg", "grey.tif", "pages.tif"),
    *("colour.bmp", "volume.nii", "volume.nii.gz", "flat.npy", "volume.npy"),
    *("native.dcm", "rle.dcm"),
)
WITH_CHECKSUMS = ("grey.png", "deep.png", "colour.png", "volume.nii.gz")
AFTER_VOXELS = {"rle.dcm": 8}  # bytes of a delimiter that holds nothing: they may be lost


@st.composite
def edits(draw):
    """A few places of a file, each a share of its length, and what is done there."""
    kinds = st.sampled_from(["flip", "set", "cut", "insert", "repeat", "end"])
    places = st.integers(0, 2**16 - 1)
    one = st.tuples(kinds, places, st.integers(1, 64), st.binary(min_size=1, max_size=8))
    return draw(st.lists(one, min_size=1, max_size=4))


def damaged(content, changes):
    """The content, changed in place after place."""
    result = bytearray(content)
    for kind, place, length, new in changes:
        at = place * len(result) >> 16
        match kind:
            case "flip" if result:
                result[at] ^= 1 << length % 8
            case "set":
                result[at : at + len(new)] = new
            case "cut":
                del result[at : at + length]
            case "insert":
                result[at:at] = new
            case "repeat":
                result[at:at] = result[at : at + length]
            case "end":
                del result[at:]
    return bytes(result)


def outcome(folder: Path, name: str, content: bytes):
    """The volume that is read, or None: refused as it should be."""
    path = folder / name
    path.write_bytes(content)
    try:
        claim = claim_of(Source(path, (path,) if name.endswith(".dcm") else ()), CHOICE)
    except UnreadableScanError as error:
        check_sentence(error, name)
        claim = None
    try:
        volume = read(path, CHOICE)
    except UnreadableScanError as error:
        check_sentence(error, name)
        return None
    assert claim is not None, "the header alone was refused, the whole file was not"
    assert volume.grid.shape == claim.shape
    assert volume.voxels.dtype == np.float32
    assert np.isfinite(volume.voxels).all()
    assert all(line.isprintable() for line in volume.warnings)
    return volume


def check_sentence(error: UadError, name: str):
    words = f"{error} {error.hint}"
    assert words.isprintable()
    assert name in words or "the series" in words  # of one file here
    assert not any(secret in words for secret in SECRETS.values())


def peak_bytes():
    """Most memory since `forget_peak`; 0 where the system does not say."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 2**10 for line in lines if line.startswith("VmHWM")), 0)


def forget_peak():
    if (file := Path("/proc/self/clear_refs")).exists():
        file.write_text("5")


FUZZED = settings(
    max_examples=EXAMPLES,
    derandomize=ASKED is None,
    database=None,
    deadline=timedelta(seconds=5),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("name", NAMES)
def test_every_valid_file_is_read(valid, tmp_path, name):
    assert valid.keys() == set(NAMES)
    assert outcome(tmp_path, name, valid[name]) is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_scan_is_refused_in_a_sentence_or_read_as_it_says(valid, tmp_path, name):
    truth = outcome(tmp_path, name, valid[name]).voxels

    @FUZZED
    @given(edits())
    def search(changes):
        content = damaged(valid[name], changes)
        found = outcome(tmp_path, name, content)
        if found is not None and name in WITH_CHECKSUMS:
            np.testing.assert_array_equal(found.voxels, truth)

    forget_peak()
    before = peak_bytes()
    search()
    assert peak_bytes() - before < MOST_BYTES


@pytest.mark.parametrize(
    ("name", "place", "bit", "why"),
    [("pages.tif", 225, 0, "ends in the middle"), ("grey.tif", 44918, 1, "another size than")],
    ids=["a place beyond any file", "tags that the decoder understands otherwise"],
)
def test_damage_that_longer_searches_found_stays_refused(valid, tmp_path, name, place, bit, why):
    content = damaged(valid[name], [("flip", place, bit, b"")])
    assert outcome(tmp_path, name, content) is None
    with pytest.raises(UnreadableScanError, match=why):
        read(tmp_path / name, CHOICE)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless], ids=lambda it: it.name)
def test_damaged_compressed_pixels_take_only_their_scan_along(tmp_path, syntax):
    content = dicom(tmp_path / "series", syntax, size=(64, 64))

    @settings(FUZZED, max_examples=1 + EXAMPLES // 8)  # a decoder that crashes is started anew
    @given(edits())
    def search(changes):
        outcome(tmp_path, "scan.dcm", damaged(content, changes))

    search()
    assert outcome(tmp_path, "scan.dcm", content) is not None


@pytest.mark.parametrize("name", WITH_CHECKSUMS)
def test_no_damaged_byte_goes_unnoticed_where_a_checksum_covers_it(valid, tmp_path, name):
    truth = outcome(tmp_path, name, valid[name]).voxels
    for at in range(len(valid[name])):
        content = bytearray(valid[name])
        content[at] ^= 0xFF
        found = outcome(tmp_path, name, bytes(content))
        if found is not None:
            np.testing.assert_array_equal(found.voxels, truth)


def test_a_png_that_lost_or_exchanged_whole_chunks_is_not_read_as_another(valid, tmp_path):
    truth = outcome(tmp_path, "colour.png", valid["colour.png"]).voxels
    chunks = [bytes(chunk.whole) for chunk in png.chunks(valid["colour.png"])]
    for order in itertools.chain.from_iterable(
        itertools.permutations(chunks, count) for count in range(3, len(chunks) + 1)
    ):
        content = b"".join([png.SIGNATURE, *order])
        found = outcome(tmp_path, "colour.png", content)
        if found is not None:
            np.testing.assert_array_equal(found.voxels, truth)


@pytest.mark.parametrize("name", NAMES)
def test_a_scan_that_is_cut_off_anywhere_is_refused(valid, tmp_path, name):
    content = valid[name]
    truth = outcome(tmp_path, name, content).voxels
    ends = {*range(0, len(content), max(1, len(content) // 150)), *range(len(content))[-12:]}
    found = {end: outcome(tmp_path, name, content[:end]) for end in sorted(ends)}
    read_all_the_same = {end: volume for end, volume in found.items() if volume is not None}
    for volume in read_all_the_same.values():
        np.testing.assert_array_equal(volume.voxels, truth)
    assert all(len(content) - end <= AFTER_VOXELS.get(name, 0) for end in read_all_the_same)


def test_a_damaged_manifest_is_refused_in_a_sentence_or_means_what_it_says():
    valid = to_json(MANIFEST).encode()

    @settings(FUZZED, max_examples=4 * EXAMPLES)
    @given(edits())
    def search(changes):
        text = damaged(valid, changes).decode(errors="surrogateescape")
        try:
            manifest = from_json(text, where="model.onnx")
        except BadModelError as error:
            check_sentence(error, "model.onnx")
        else:
            assert from_json(to_json(manifest), where="model.onnx") == manifest

    search()


def test_a_damaged_model_file_is_refused_in_a_sentence_and_nothing_is_printed(tmp_path, capfd):
    path = tmp_path / "model.onnx"
    save(path, tiny_graph(), MANIFEST)
    valid = path.read_bytes()

    @FUZZED
    @given(edits())
    def search(changes):
        path.write_bytes(damaged(valid, changes))
        try:
            read_manifest(path)
        except BadModelError as error:
            check_sentence(error, "model.onnx")

    search()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("at", [b'"study":"tiny', b"reconstruction"])
def test_a_model_file_whose_words_are_not_utf8_is_refused(tmp_path, capfd, at):
    path = tmp_path / "model.onnx"
    save(path, tiny_graph(), MANIFEST)
    path.write_bytes(path.read_bytes().replace(at, at[:-1] + b"\xff"))
    with pytest.raises(BadModelError) as refused:
        read_manifest(path)
    check_sentence(refused.value, "model.onnx")
    assert capfd.readouterr() == ("", "")
