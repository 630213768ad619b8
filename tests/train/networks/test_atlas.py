import numpy as np
import pytest
import torch

from train.networks.atlas import DOUBT, FARTHEST, Atlas


@pytest.mark.parametrize("image_size", [(6, 4), (4, 6, 5)])
@pytest.mark.parametrize("at_a_time", [1, 3, 7])
def test_it_learns_mean_and_deviation_of_each_pixel_however_images_come(image_size, at_a_time):
    rng = np.random.default_rng(0)
    images = rng.normal(0.4, 0.2, (7, 2, *image_size)).astype(np.float32)
    atlas = Atlas(2, image_size, (-1.0, 1.0))

    atlas.draw(torch.from_numpy(images).split(at_a_time))

    away = (images - images.mean(axis=0)) / (images.std(axis=0) + 2 * DOUBT)
    expected = np.clip(away, -FARTHEST, FARTHEST) / FARTHEST
    np.testing.assert_allclose(atlas(torch.from_numpy(images)).numpy(), expected, atol=1e-5)


def test_where_all_images_are_alike_a_small_difference_is_a_small_distance():
    atlas = Atlas(1, (2, 2), (0.0, 1.0))
    atlas.draw([torch.full((3, 1, 2, 2), 0.7)])
    distances = atlas(torch.full((1, 1, 2, 2), 0.7 + DOUBT))
    torch.testing.assert_close(distances, torch.full((1, 1, 2, 2), 1 / FARTHEST))


def test_nothing_is_farther_than_the_farthest():
    atlas = Atlas(1, (2, 2), (0.0, 1.0))
    atlas.draw([torch.zeros(2, 1, 2, 2)])
    assert atlas(torch.ones(1, 1, 2, 2)).max() == 1
    assert atlas(-torch.ones(1, 1, 2, 2)).min() == -1
