"""Patches of tensors: what a fit is shown, and that validation cuts as what ships does."""

import numpy as np
import pytest
import torch

from infer.patches import Patches, cover
from train.batches import Batches
from train.patches import cut, evenly, put_together, random_patches

PATCHES = Patches(size=(4, 3), stride=(3, 3), top_share=1.0)


def images_of(count, *, size=(8, 7), channels=2):
    values = torch.arange(count * channels * size[0] * size[1], dtype=torch.float32)
    return values.view(count, channels, *size)


def batches_of(images, **options):
    return Batches(
        images.numpy(),
        3,
        intensity_range=(0.0, 1.0),
        device=torch.device("cpu"),
        **{"change": lambda batch: batch, **options},
    )


def place_of(patch, image):
    """(row, column) of a patch cut from an image whose values are all different."""
    channel, row, column = (int(it[0]) for it in torch.where(image == patch[0, 0, 0]))
    assert channel == 0
    height, width = patch.shape[1:]
    assert torch.equal(patch, image[:, row : row + height, column : column + width])
    return row, column


def test_all_patches_are_those_of_what_ships_in_its_order():
    images = images_of(3)
    np.testing.assert_array_equal(cut(images, PATCHES), cover(images.numpy(), PATCHES))


def test_what_was_cut_is_put_together_again():
    images = images_of(3)
    torch.testing.assert_close(put_together(cut(images, PATCHES), PATCHES, (8, 7)), images)


def test_without_patches_images_are_the_very_same():
    images = images_of(3)
    assert cut(images, None) is images
    assert put_together(images, None, (8, 7)) is images


def test_a_random_patch_is_cut_from_each_image_and_may_lie_anywhere():
    torch.manual_seed(0)
    (image,) = images_of(1)
    drawn = random_patches(image.expand(400, -1, -1, -1), PATCHES.size)
    places = {place_of(patch, image) for patch in drawn}
    assert places == {(row, column) for row in range(5) for column in range(5)}


def test_chance_is_torchs_and_the_same_seed_cuts_the_same_patches():
    images = images_of(5)
    torch.manual_seed(1)
    first = random_patches(images, PATCHES.size)
    torch.manual_seed(1)
    assert torch.equal(random_patches(images, PATCHES.size), first)


def test_a_fit_is_shown_patches_of_augmented_images():
    images = images_of(3) + 1
    batch = next(batches_of(images, patches=PATCHES, change=lambda batch: -batch))
    assert batch.shape == (3, 2, 4, 3)
    shown = [{*(-patch).flatten().tolist()} for patch in batch]
    originals = [{*image.flatten().tolist()} for image in images]
    assert sorted(originals.index(it) for it in originals for one in shown if one <= it) == [
        0,
        1,
        2,
    ]


def test_whole_images_cost_a_fit_no_draw_of_chance():
    images = images_of(3)
    plain = batches_of(images)
    torch.manual_seed(0)
    next(plain)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    torch.randperm(3)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("patches", [None, PATCHES], ids=["whole", "patches"])
def test_unchanged_images_are_all_there_once_however_many_at_a_time(patches):
    images = images_of(5)
    shown = list(batches_of(images, patches=patches).unchanged(2))
    assert torch.equal(torch.cat(shown), cut(images, patches))


def test_a_few_of_many_rows_are_spread_over_all_of_them():
    assert evenly(np.arange(100), 4).tolist() == [0, 33, 66, 99]
    assert evenly(torch.arange(3), 8).tolist() == [0, 1, 2]
