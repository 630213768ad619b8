"""Pictures of what a classifier looks at: of these images, one by one, and leaving no trace."""

import pytest
import torch

from tests.train.methods.test_densenet import densenet, images
from train.attention import watch_attention

NAMES = {"grad_cam", "grad_cam_plus_plus", "smooth_grad"}


@pytest.fixture(scope="module")
def model():
    model = densenet(channels=3, channel_mean=(0.5,) * 3, channel_std=(0.2,) * 3)
    with torch.no_grad():
        model.network.class_layers.out.weight.fill_(1e-3)  # every map is above 0 somewhere
    return model.eval()


def standardised(count):
    return (images(count, channels=3) - 0.5) / 0.2


def test_every_kind_of_map_lies_over_every_image(model):
    grids = watch_attention(model, standardised(2)).grids
    assert grids.keys() == NAMES
    grey = images(2, channels=3).mean(dim=1).numpy()
    for grid in grids.values():
        assert grid.shape == (2, 3, 64, 64)
        assert grid.min() >= -1e-6
        assert grid.max() <= 1 + 1e-6
        assert (grid[:, 0] >= grey - 1e-6).all()  # red where the map is high,
        assert (grid[:, 1] <= grey + 1e-6).all()  # and never the reverse
        assert (grid[:, 0] - grid[:, 1]).max() > 0.4


def test_a_picture_does_not_depend_on_the_other_images(model):
    alone = watch_attention(model, standardised(3)[:1]).grids
    among = watch_attention(model, standardised(3)).grids
    for name in NAMES - {"smooth_grad"}:  # whose noise is drawn anew for each image
        torch.testing.assert_close(
            torch.from_numpy(alone[name][0]), torch.from_numpy(among[name][0]), atol=1e-4, rtol=0
        )


def test_looking_leaves_model_and_chance_as_they_were(model):
    before = {name: it.clone() for name, it in model.state_dict().items()}
    batch = standardised(1)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    watch_attention(model, batch)
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(before[name], it) for name, it in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
