import dataclasses

import pytest
import torch

from train.augment import Augmentation, AugmentConfig

STRONG = AugmentConfig(
    flip_probability=0.5,
    flip="columns",
    pose_of_volumes="every_axis",
    pose_probability=1.0,
    rotation_degrees=45.0,
    translation=0.3,
    scale=(0.5, 1.5),
    shear_degrees=20.0,
    brightness=0.3,
    contrast=0.3,
    gamma=0.3,
    saturation=0.5,
    hue=0.2,
)
STILL = AugmentConfig(
    flip_probability=0.0,
    flip="columns",
    pose_of_volumes="every_axis",
    pose_probability=1.0,
    rotation_degrees=0.0,
    translation=0.0,
    scale=(1.0, 1.0),
    shear_degrees=0.0,
    brightness=0.0,
    contrast=0.0,
    gamma=0.0,
    saturation=0.0,
    hue=0.0,
)


# (height, width) of slices, and (depth, height, width) of volumes.
sizes = pytest.mark.parametrize("size", [(32, 48), (8, 32, 48)], ids=["slices", "volumes"])


@sizes
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_keep_their_shape_and_range(channels, size):
    images = torch.rand(16, channels, *size)
    changed = Augmentation(STRONG, channels, len(size))(images)
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert not torch.allclose(changed, images)


@sizes
def test_what_comes_from_beyond_the_image_is_the_darkest_value(size):
    away = dataclasses.replace(STILL, scale=(0.5, 0.5))
    changed = Augmentation(away, 1, len(size))(torch.ones(2, 1, *size))
    assert torch.all(changed[:, :, 0] == 0)
    assert torch.all(changed[..., 0, :] == 0)
    assert torch.all(changed[..., 0] == 0)
    middle = (slice(None), slice(None), *(side // 2 for side in size))
    assert torch.all(changed[middle] > 0.99)


@sizes
def test_nothing_asked_for_changes_nothing(size):
    images, change = torch.rand(4, 1, *size), Augmentation(STILL, 1, len(size))
    torch.testing.assert_close(change(images), images, atol=1e-5, rtol=0)


@sizes
@pytest.mark.parametrize("pose_of_volumes", ["every_axis", "in_plane"])
@pytest.mark.parametrize(("flip", "axis"), [("columns", -1), ("rows", -2)])
def test_a_flip_reverses_the_order_of_columns_or_rows(flip, axis, pose_of_volumes, size):
    images = torch.rand(4, 1, *size)
    config = dataclasses.replace(
        STILL, flip_probability=1.0, flip=flip, pose_of_volumes=pose_of_volumes
    )
    flipped = Augmentation(config, 1, len(size))(images)
    torch.testing.assert_close(flipped, images.flip(axis), atol=1e-5, rtol=0)


@sizes
@pytest.mark.parametrize("pose_of_volumes", ["every_axis", "in_plane"])
def test_images_that_are_not_turned_keep_every_value(pose_of_volumes, size):
    images = torch.rand(64, 1, *size)
    config = dataclasses.replace(
        STILL, rotation_degrees=20.0, pose_probability=0.5, pose_of_volumes=pose_of_volumes
    )
    posed = Augmentation(config, 1, len(size))(images)
    kept = (posed - images).abs().flatten(1).amax(dim=1) < 1e-6
    assert 16 < kept.sum() < 48  # 32 of them, four standard deviations to either side


@sizes
def test_each_image_is_changed_in_its_own_way(size):
    images = torch.rand(1, 1, *size).expand(2, 1, *size)
    first, second = Augmentation(STRONG, 1, len(size))(images)
    assert not torch.allclose(first, second)


def test_the_images_are_left_untouched():
    images = torch.rand(4, 3, 32, 32)
    before = images.clone()
    Augmentation(STRONG, 3, 2)(images)
    assert torch.equal(images, before)


def test_a_volume_has_one_brightness():
    grey = torch.full((1, 1, 8, 32, 32), 0.5)
    changed = Augmentation(dataclasses.replace(STILL, brightness=0.3), 1, 3)(grey)
    assert changed.std() < 1e-6
    assert changed.mean() != 0.5


@sizes
def test_gamma_moves_grey_in_each_image_by_one_exponent_and_leaves_black_and_white(size):
    images = torch.rand(64, 1, *size)
    images[:, :, 0], images[:, :, 1] = 0, 1
    changed = Augmentation(dataclasses.replace(STILL, gamma=0.4), 1, len(size))(images)
    assert torch.all(changed[:, :, 0] == 0)
    torch.testing.assert_close(changed[:, :, 1], images[:, :, 1])
    grey = (images > 0.2) & (images < 0.8)
    exponents = changed.log() / images.log()
    of_each = [it[inside] for it, inside in zip(exponents, grey, strict=True)]
    for exponent in of_each:
        torch.testing.assert_close(exponent, exponent[:1].expand_as(exponent), atol=1e-3, rtol=0)
    drawn = torch.stack([exponent[0] for exponent in of_each])
    assert 0.6 <= drawn.min() < 0.75
    assert 1.25 < drawn.max() <= 1.4


def test_a_volume_is_turned_about_every_axis():
    boxes = torch.zeros(16, 1, 16, 16, 16)
    boxes[:, :, 3:6, 10:13, 7:9] = 1
    turned = Augmentation(dataclasses.replace(STILL, rotation_degrees=30.0), 1, 3)(boxes)
    axes = torch.meshgrid(*[torch.arange(16.0) - 7.5] * 3, indexing="ij")
    before, after = (
        torch.stack([(axis * it).flatten(1).sum(1) / it.flatten(1).sum(1) for axis in axes])
        for it in (boxes, turned)
    )
    assert torch.all((after - before).abs().amax(dim=1) > 0.5)  # along each axis, of one at least
    torch.testing.assert_close(after.norm(dim=0), before.norm(dim=0), atol=0.2, rtol=0)


@pytest.mark.parametrize("channels", [1, 2])
def test_in_plane_all_slices_of_a_volume_are_posed_alike_and_none_leaves_it(channels):
    slices = torch.rand(6, channels, 1, 32, 48)
    config = dataclasses.replace(STRONG, scale=(1.0, 1.0), pose_of_volumes="in_plane")
    posed = Augmentation(config, channels, 3)(slices.expand(-1, -1, 8, -1, -1))
    torch.testing.assert_close(posed, posed[:, :, :1].expand_as(posed), atol=1e-6, rtol=0)
    assert posed[:, :, 0].flatten(1).amax(dim=1).min() > 0
    assert not torch.allclose(posed[:, :, :1], slices)


def test_in_plane_a_volume_is_posed_as_the_slice_would_be():
    slices = torch.rand(3, 1, 32, 32)
    config = dataclasses.replace(
        STRONG, brightness=0.0, contrast=0.0, gamma=0.0, pose_of_volumes="in_plane"
    )
    torch.manual_seed(3)
    of_slices = Augmentation(config, 1, 2)(slices)
    torch.manual_seed(3)
    of_volumes = Augmentation(config, 1, 3)(slices.unsqueeze(2).repeat(1, 1, 4, 1, 1))
    torch.testing.assert_close(of_volumes[:, :, 2], of_slices, atol=1e-5, rtol=0)


@sizes
def test_the_same_seed_gives_the_same_changes(size):
    images, change = torch.rand(4, 1, *size), Augmentation(STRONG, 1, len(size))
    torch.manual_seed(5)
    first = change(images)
    torch.manual_seed(5)
    assert torch.equal(first, change(images))
