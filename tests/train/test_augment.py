import dataclasses

import pytest
import torch

from train.augment import Augmentation, AugmentConfig

STRONG = AugmentConfig(
    flip_probability=0.5,
    rotation_degrees=45.0,
    translation=0.3,
    scale=(0.5, 1.5),
    shear_degrees=20.0,
    brightness=0.3,
    contrast=0.3,
    saturation=0.5,
    hue=0.2,
)
STILL = AugmentConfig(
    flip_probability=0.0,
    rotation_degrees=0.0,
    translation=0.0,
    scale=(1.0, 1.0),
    shear_degrees=0.0,
    brightness=0.0,
    contrast=0.0,
    saturation=0.0,
    hue=0.0,
)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_keep_their_shape_and_range(channels):
    images = torch.rand(16, channels, 32, 48)
    changed = Augmentation(STRONG, channels)(images)
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.allclose(changed, images)


def test_what_comes_from_beyond_the_image_is_the_darkest_value():
    away = dataclasses.replace(STILL, scale=(0.5, 0.5))
    changed = Augmentation(away, 1)(torch.ones(2, 1, 32, 32))
    assert torch.all(changed[:, :, 0] == 0)
    assert torch.all(changed[:, :, 16, 16] > 0.99)


def test_nothing_asked_for_changes_nothing():
    images = torch.rand(4, 1, 32, 32)
    torch.testing.assert_close(Augmentation(STILL, 1)(images), images, atol=1e-5, rtol=0)


def test_a_flip_mirrors_left_and_right():
    images = torch.rand(4, 1, 32, 32)
    flipped = Augmentation(dataclasses.replace(STILL, flip_probability=1.0), 1)(images)
    torch.testing.assert_close(flipped, images.flip(-1), atol=1e-5, rtol=0)


def test_each_image_is_changed_in_its_own_way():
    images = torch.rand(1, 1, 32, 32).expand(2, 1, 32, 32)
    first, second = Augmentation(STRONG, 1)(images)
    assert not torch.allclose(first, second)


def test_the_images_are_left_untouched():
    images = torch.rand(4, 3, 32, 32)
    before = images.clone()
    Augmentation(STRONG, 3)(images)
    assert torch.equal(images, before)


def test_the_same_seed_gives_the_same_changes():
    images, change = torch.rand(4, 1, 32, 32), Augmentation(STRONG, 1)
    torch.manual_seed(5)
    first = change(images)
    torch.manual_seed(5)
    assert torch.equal(first, change(images))
