from collections import Counter

import numpy as np
import torch

from infer.intensity import standardise
from train.batches import Batches, ChannelScale, to_range


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
