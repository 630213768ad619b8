from collections import Counter

import numpy as np
import pytest
import torch

from infer.intensity import standardise
from train.batches import Batches, ChannelScale, to_range
from train.seeding import seed_everything
from train.stored_images import StoredImages


def numbered(count, batch_size, intensity_range=(0.0, 1.0)):
    """Batches of images whose one value is their row number."""
    images = np.arange(count, dtype=np.float32).reshape(-1, 1, 1, 1)
    return Batches(
        images,
        batch_size,
        change=lambda batch: batch,
        intensity_range=intensity_range,
        device=torch.device("cpu"),
    )


def test_batches_are_never_partial_and_show_every_image_equally_often():
    batches = numbered(7, 3)
    seen = Counter(int(value) for _ in range(14) for value in next(batches).flatten())
    assert seen == Counter(dict.fromkeys(range(7), 6))


def test_a_set_smaller_than_a_batch_fills_it():
    assert next(numbered(2, 5)).shape == (5, 1, 1, 1)


def test_an_epoch_shows_every_image():
    assert numbered(7, 3).per_epoch == 3


def test_batches_come_in_the_methods_range():
    torch.testing.assert_close(
        to_range(torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1), (-1.0, 1.0)).flatten(),
        torch.tensor([-1.0, 0.0, 1.0]),
    )


def test_labels_come_with_their_images():
    abnormal = np.array([False, True, False, True, True])
    batches = Batches(
        np.arange(5, dtype=np.float32).reshape(-1, 1, 1, 1),
        3,
        change=lambda batch: batch,
        intensity_range=(0.0, 1.0),
        device=torch.device("cpu"),
        abnormal=abnormal,
    )
    for _ in range(4):
        images, labels = batches.labelled()
        assert labels.tolist() == [abnormal[int(value)] for value in images.flatten()]


def test_channels_are_standardised_exactly_as_what_ships_does_it():
    images = torch.rand(4, 3, 8, 8)
    scale = ChannelScale((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    standard = scale.standardised(images)
    np.testing.assert_array_equal(standard, standardise(images.numpy(), *scale))
    torch.testing.assert_close(scale.undone(standard), images)


def noisy(images, batch_size=3):
    """Batches whose augmentation draws from chance, as every fit's does."""
    return Batches(
        images,
        batch_size,
        change=lambda batch: batch + torch.rand(len(batch), 1, 1, 1),
        intensity_range=(0.0, 1.0),
        device=torch.device("cpu"),
    )


def drawn(batches, count=9):
    """Some batches, with what a model draws between them."""
    seed_everything(5)
    return [(next(batches), torch.rand(1)) for _ in range(count)]


@pytest.fixture
def images(tmp_path):
    array = np.random.default_rng(0).random((7, 1, 4, 4), np.float32)
    np.save(tmp_path / "images.npy", array)
    return array, np.load(tmp_path / "images.npy", mmap_mode="r")


def test_batches_from_the_disk_are_those_from_memory(images):
    array, store = images
    some = np.array([5, 0, 3, 6, 1])
    for one, other in zip(
        drawn(noisy(array[some])), drawn(noisy(StoredImages(store, some))), strict=True
    ):
        assert all(map(torch.equal, one, other))


def test_reading_ahead_draws_nothing_from_chance(images):
    """What batches were before there was any: rows, images and chance, one after the other."""
    array, _ = images
    given = drawn(noisy(array))
    seed_everything(5)
    waiting = torch.empty(0, dtype=torch.int64)
    for batch, between in given:
        while len(waiting) < 3:
            waiting = torch.cat([waiting, torch.randperm(7)])
        rows, waiting = waiting[:3], waiting[3:]
        assert torch.equal(batch, torch.from_numpy(array)[rows] + torch.rand(3, 1, 1, 1))
        assert torch.equal(between, torch.rand(1))


def test_a_state_that_is_brought_back_goes_on_as_it_would_have(images):
    array, _ = images
    batches = noisy(array)
    drawn(batches, 4)
    waiting, state = batches.waiting, torch.get_rng_state()
    expected = [next(batches) for _ in range(5)]
    other = noisy(array)
    drawn(other, 2)  # has read ahead what will not be asked for
    other.waiting = waiting
    torch.set_rng_state(state)
    assert all(torch.equal(next(other), it) for it in expected)


def test_every_image_is_given_once_unchanged_in_parts(images):
    _, store = images
    parts = list(noisy(StoredImages(store, np.arange(7))).unchanged(3))
    assert [len(part) for part in parts] == [3, 3, 1]
    np.testing.assert_array_equal(torch.cat(parts).numpy(), store)
