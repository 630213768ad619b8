import pytest
import torch

from infer.errors import UnknownChoiceError
from train.networks.pyramid import Pyramid, scales_of


def images(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("shape", "levels"),
    [((2, 1, 32, 32), 3), ((2, 3, 64, 32), 2), ((1, 2, 256, 256), 6), ((1, 1, 16, 32, 16), 2)],
    ids=["square", "colour", "large", "3D"],
)
def test_what_is_taken_apart_can_be_put_together_again(shape, levels):
    whole = images(*shape)
    pyramid = Pyramid(shape[1], shape[2:], levels)
    parts = pyramid.decompose(whole)
    again = pyramid.collapse(parts.bands, parts.base)
    # Each level adds and subtracts once: a few roundings.
    for image, redrawn in zip(parts.images, again, strict=True):
        torch.testing.assert_close(redrawn, image, atol=1e-6, rtol=0)
    assert torch.equal(parts.images[0], whole)


def test_each_level_is_half_as_large():
    parts = Pyramid(1, (64, 32), 3).decompose(images(2, 1, 64, 32))
    assert [it.shape[2:] for it in parts.images] == scales_of((64, 32), 3)
    assert [it.shape[2:] for it in parts.bands] == scales_of((64, 32), 3)[:-1]


def test_an_even_grey_has_no_detail_at_any_scale():
    parts = Pyramid(1, (32, 32), 3).decompose(torch.full((1, 1, 32, 32), 0.7))
    for band in parts.bands:
        torch.testing.assert_close(band, torch.zeros_like(band), atol=1e-6, rtol=0)
    torch.testing.assert_close(parts.base, torch.full_like(parts.base, 0.7))


def test_a_ramp_has_no_detail_away_from_the_border_for_no_scale_is_shifted():
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    finest = Pyramid(1, (64, 64), 1).decompose(ramp).bands[0]
    inner = finest[..., 6:-6]
    torch.testing.assert_close(inner, torch.zeros_like(inner), atol=1e-6, rtol=0)


def test_a_mirrored_image_has_the_mirrored_pyramid():
    whole = images(1, 1, 32, 32)
    pyramid = Pyramid(1, (32, 32), 3)
    for seen, mirrored in zip(
        pyramid.decompose(whole).bands, pyramid.decompose(whole.flip(-1)).bands, strict=True
    ):
        torch.testing.assert_close(mirrored.flip(-1), seen, atol=1e-6, rtol=0)


def test_the_blur_is_the_binomial_one():
    point = torch.zeros(1, 1, 16, 16)
    point[..., 6:8, 6:8] = 1.0  # one pixel at half the size
    # (1, 4, 6, 4, 1)/16 over two pixels: 1, 5, 10, 10, 5, 1; the mean of pairs: 6, 20, 6 of 32.
    profile = torch.tensor([3.0, 10.0, 3.0]) / 16
    halved = Pyramid(1, (16, 16), 1).halve(point)
    torch.testing.assert_close(halved[0, 0, 2:5, 2:5], torch.outer(profile, profile))
    assert halved.sum() == pytest.approx(1.0)


def test_channels_do_not_mix():
    pyramid = Pyramid(2, (32, 32), 2)
    both = images(1, 2, 32, 32)
    alone = both.clone()
    alone[:, 1] = 0
    for seen, expected in zip(
        pyramid.decompose(both).bands, pyramid.decompose(alone).bands, strict=True
    ):
        assert torch.equal(seen[:, 0], expected[:, 0])


def test_nothing_of_it_is_learned_or_kept_in_a_checkpoint():
    pyramid = Pyramid(1, (32, 32), 3)
    assert not list(pyramid.parameters())
    assert not pyramid.state_dict()


@pytest.mark.parametrize("levels", [0, 4])
def test_a_pyramid_without_levels_or_with_too_many_is_refused(levels):
    with pytest.raises(UnknownChoiceError, match="levels is not possible") as refusal:
        Pyramid(1, (32, 32), levels)
    assert refusal.value.hint == "use 1 to 3 levels"
