"""A store's types, and images that are read when they are asked for."""

from pathlib import Path

import numpy as np
import pytest

from train.stored_images import AT_ONCE, StoredImages, as_images, as_stored

# Half of what lies between neighbouring numbers of a type, at most: see `train.stored_images`.
BOUNDS = {"float32": 0.0, "float16": 2**-12, "uint8": 0.5 / 255}


def drawn(count=7):
    return np.random.default_rng(0).random((count, 2, 5, 4), np.float32)


@pytest.fixture
def store(tmp_path):
    """Seven images on the disk."""
    np.save(tmp_path / "images.npy", drawn())
    return np.asarray(np.load(tmp_path / "images.npy", mmap_mode="r"))


@pytest.mark.parametrize("kind", BOUNDS)
def test_what_is_stored_comes_back_within_the_rounding_of_its_type(kind):
    levels = np.linspace(0, 1, 20_001, dtype=np.float32).reshape(1, 1, -1, 1)
    stored = as_stored(levels, kind)
    assert stored.dtype == kind
    back = as_images(stored)
    assert back.dtype == np.float32
    # The last digits of float32 itself, beside 1.
    assert np.abs(back - levels).max() <= BOUNDS[kind] + 2**-24


@pytest.mark.parametrize("kind", BOUNDS)
def test_black_and_white_come_back_exactly(kind):
    ends = np.array([0, 1], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(as_images(as_stored(ends, kind)), ends)


def test_a_value_that_rounding_took_beyond_white_is_not_stored_as_black():
    beyond = np.full((1, 1, 1, 1), np.nextafter(np.float32(1), np.float32(2)))
    assert as_images(as_stored(beyond * np.float32(1.01), "uint8")).item() == 1


@pytest.mark.parametrize(
    "at", [2, slice(1, 3), np.array([3, 0, 3])], ids=["one", "a slice", "rows"]
)
def test_they_are_indexed_as_the_array_they_would_be(store, at):
    rows = np.array([6, 1, 4, 2])
    np.testing.assert_array_equal(StoredImages(store, rows)[at], drawn()[rows][at])


def test_some_of_some_are_the_right_ones(store):
    some = StoredImages(store, np.array([6, 1, 4, 2])).of(np.array([True, False, True, True]))
    assert some.shape == (3, 2, 5, 4)
    np.testing.assert_array_equal(some.of(np.array([2, 0]))[:], drawn()[[2, 6]])


def test_images_may_have_any_number_of_axes():
    volumes = np.random.default_rng(0).random((3, 1, 4, 5, 6), np.float32)
    np.testing.assert_array_equal(StoredImages(volumes, np.arange(3))[1:], volumes[1:])


def test_mean_and_deviation_are_those_of_all_of_them():
    images = drawn(2 * AT_ONCE + 3)  # more than are held at a time
    stored = StoredImages(images, np.arange(len(images)))
    exact = images.astype(np.float64)
    np.testing.assert_allclose(stored.mean(axis=0), exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(stored.std(axis=0), exact.std(axis=0), rtol=1e-6)


def test_what_is_read_cannot_change_the_store(store, tmp_path):
    before = Path(tmp_path / "images.npy").read_bytes()
    images = StoredImages(store, np.arange(7))[:]
    images += 1
    assert Path(tmp_path / "images.npy").read_bytes() == before
