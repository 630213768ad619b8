import pytest
import torch

from infer.errors import UnknownChoiceError
from train.networks.unet import UNet, UNetShape


def unet(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    numbers = {"width": 4, "levels": 3, "bottleneck": 8, "skips": True, "outputs": channels}
    shape = UNetShape(channels=channels, image_size=image_size, **(numbers | changes))
    return UNet(shape).eval()


@pytest.mark.parametrize("skips", [True, False])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (256, 256), (32, 32, 32), (8, 64, 32)])
def test_images_of_any_size_keep_their_shape(skips, channels, image_size):
    images = torch.rand(2, channels, *image_size)
    assert unet(channels, image_size, skips=skips)(images).shape == images.shape


def test_without_shortcuts_all_passes_through_the_bottleneck():
    def depends_on_bottleneck_only(network):
        network.downward[-1].register_forward_hook(lambda *given: given[-1] * 0)
        with torch.no_grad():
            first, second = network(torch.rand(2, 1, 32, 32))
        return torch.equal(first, second)

    assert depends_on_bottleneck_only(unet(skips=False))
    assert not depends_on_bottleneck_only(unet(skips=True))


def test_channels_double_with_each_halving_down_to_the_bottleneck():
    sizes = {"width": 16, "levels": 4, "bottleneck": 5}
    shape = UNetShape(channels=1, image_size=(64, 64), skips=True, outputs=1, **sizes)
    assert shape.widths == [16, 32, 64, 128, 5]


def test_as_many_channels_come_out_as_are_asked_for():
    assert unet(channels=2, outputs=1)(torch.rand(3, 2, 32, 32)).shape == (3, 1, 32, 32)


@pytest.mark.parametrize("levels", [0, 4])
def test_more_halvings_than_an_image_bears_are_refused(levels):
    with pytest.raises(UnknownChoiceError, match="levels"):
        unet(levels=levels)


def test_a_thin_volume_is_halved_in_its_slices_once_little_of_its_depth_is_left():
    shape = UNetShape(
        channels=1, image_size=(8, 64, 64), width=4, levels=3, bottleneck=8, skips=True, outputs=1
    )
    assert shape.halvings == [(2, 2, 2), (1, 2, 2), (1, 2, 2)]
    bottoms = []
    network = UNet(shape)
    network.downward[-1].register_forward_hook(lambda *given: bottoms.append(given[-1].shape))
    network(torch.rand(1, 1, 8, 64, 64))
    assert bottoms == [(1, 8, 4, 8, 8)]


@pytest.mark.parametrize("depth", [2, 12, 512])
def test_depths_that_do_not_halve_are_refused_in_words(depth):
    with pytest.raises(UnknownChoiceError, match=f"its depth is {depth}"):
        unet(image_size=(depth, 32, 32))
