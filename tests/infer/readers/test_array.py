"""NPY files: NumPy wrote them, so what NumPy holds is the truth."""

import pickle

import cv2
import numpy as np
import pytest

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.readers.choice import USUAL, Choice
from infer.readers.reading import claim_of
from infer.readers.source import Source
from infer.writers import array as writer


def saved(path, array):
    np.save(path, array)
    return path


def numbers(*shape, kind=np.float32):
    return np.random.default_rng(0).integers(0, 100, shape).astype(kind)


@pytest.mark.parametrize("kind", ["i1", "i2", ">i2", "u4", "i8", "f2", "f4", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(6, 5), (4, 6, 5)], ids=str)
def test_numbers_of_every_type_and_order_are_values_of_the_scanner(tmp_path, kind, order, shape):
    array = np.array(numbers(*shape), kind, order=order)
    volume = read(saved(tmp_path / "a.npy", array))
    np.testing.assert_array_equal(volume.voxels[0], array.astype(np.float32))
    assert (volume.unit, volume.spacing_mm) == ("modality", None)
    assert volume.grid.shape == shape


@pytest.mark.parametrize("described", ["()", "[]", "-" * 9_000 + "1"], ids=["()", "[]", "minus"])
def test_a_header_that_nobody_would_write_is_a_damaged_one(tmp_path, described):
    """Whatever it makes of Python's parser."""
    header = f"{{'descr': {described}, 'fortran_order': False, 'shape': (8, 8), }}\n".encode()
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(256))
    with pytest.raises(UnreadableScanError, match=r"its header is damaged|no plain numbers"):
        read(path)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("colours", [(), (3,), (4,)])
def test_a_picture_is_what_the_same_pixels_are_as_png(tmp_path, kind, colours):
    pixels = np.random.default_rng(0).integers(
        0, np.iinfo(kind).max, (64, 50, *colours), kind, endpoint=True
    )
    turned = pixels if not colours else pixels[..., [2, 1, 0, *range(3, colours[0])]]
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", turned)[1].tobytes())
    picture, array = read(tmp_path / "a.png"), read(saved(tmp_path / "a.npy", pixels))
    np.testing.assert_array_equal(array.voxels, picture.voxels)
    assert array.unit == picture.unit == "display"
    assert array.grid.shape == picture.grid.shape


def test_grey_stored_in_colour_has_one_channel(tmp_path):
    grey = numbers(6, 5, kind=np.uint8)
    volume = read(saved(tmp_path / "a.npy", np.repeat(grey[..., np.newaxis], 3, axis=2)))
    np.testing.assert_allclose(volume.voxels, grey[np.newaxis] / 255, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 5), (4, 6, 5)], ids=str)
def test_a_mask_has_the_axes_of_its_array(tmp_path, shape):
    volume = read(saved(tmp_path / "a.npy", numbers(*shape)))
    (tmp_path / "mask.npy").write_bytes(writer.encode_mask(volume.voxels[0] > 50, volume))
    mask = np.load(tmp_path / "mask.npy", allow_pickle=False)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, numbers(*shape) > 50)
    (tmp_path / "map.npy").write_bytes(writer.encode_map(volume.voxels[0], volume))
    np.testing.assert_array_equal(np.load(tmp_path / "map.npy"), numbers(*shape))


class Explosive:
    """Unpickled, it would run code."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


def header(text):
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def npy(array):
    return header(
        f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}}}"
    ) + (array.tobytes())


NAN = numbers(4, 5)
NAN[1, 2] = np.nan
HOSTILE = {
    "empty": (b"", "is empty"),
    "text": (b"patient,score\n1,2\n" * 9, "is not a NumPy array"),
    "pickle": (pickle.dumps(Explosive()), "is not a NumPy array"),
    "half_header": (npy(numbers(4, 5))[:40], "is not a NumPy array"),
    "code": (header("__import__('os').abort()"), "is not a NumPy array"),
    "nested": (header("(" * 100), "is not a NumPy array"),
    "long_header": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 100, "is not a NumPy array"),
    "objects": (
        header("{'descr': '|O', 'fortran_order': False, 'shape': (4, 5)}")
        + pickle.dumps(np.array([[Explosive()]], object)),
        "holds no plain numbers",
    ),
    "table": (npy(np.zeros((4, 5), [("secret", "f4")])), "is not a NumPy array|no plain numbers"),
    "complex": (npy(np.zeros((4, 5), np.complex64)), "holds no plain numbers"),
    "truth_values": (npy(np.zeros((4, 5), bool)), "holds no plain numbers"),
    "one_axis": (npy(np.zeros(4)), "has 1 axes"),
    "four_axes": (npy(np.zeros((2, 3, 4, 5))), "has 4 axes"),
    "no_voxels": (npy(np.zeros((4, 0))), "has no voxels"),
    "negative": (header("{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 5)}"), "no voxels"),
    "huge": (
        header("{'descr': '<f4', 'fortran_order': False, 'shape': (99999, 99999, 9)}"),
        "claims 99,999 × 99,999 × 9 voxels",
    ),
    "cut": (npy(numbers(4, 5))[:-1], "1 bytes are missing"),
    "nan": (npy(NAN), "holds 1 voxels that are not finite"),
    "overflow": (npy(np.full((4, 5), 1e300)), "holds 20 voxels that are not finite"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_array_of_numbers_is_refused_in_one_sentence(tmp_path, name, capfd):
    content, says = HOSTILE[name]
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(UnreadableScanError, match=says) as caught:
        read(tmp_path / "a.npy")
    assert str(caught.value).startswith("a.npy")
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_an_array_larger_than_allowed_is_refused_by_its_header(tmp_path):
    path = saved(tmp_path / "a.npy", numbers(4, 6, 5))
    small = Choice(volume=0, max_voxels=119, plane="axial")
    for look in (lambda: read(path, small), lambda: claim_of(Source(path), small)):
        with pytest.raises(UnreadableScanError, match=r"claims 4 × 6 × 5 voxels"):
            look()
    assert claim_of(Source(path), USUAL).shape == (4, 6, 5)
