import pytest
import torch
from torch import nn

from train.networks.stack import Stack

STACKS = {
    "down": (
        [nn.Conv2d(2, 5, 4, 2, 1), nn.Conv2d(5, 7, 4, 2, 1), nn.Conv2d(7, 3, (4, 2))],
        (3, 2, 16, 8),
    ),
    "up": (
        [nn.ConvTranspose2d(3, 7, (4, 2)), nn.ConvTranspose2d(7, 2, 4, 2, 1)],
        (3, 3, 1, 1),
    ),
    "3D": ([nn.Conv3d(1, 4, 4, 2, 1), nn.ConvTranspose3d(4, 1, 4, 2, 1)], (2, 1, 8, 8, 8)),
}


@pytest.mark.parametrize("name", STACKS)
def test_the_gradient_written_out_is_that_of_autograd(name):
    layers, shape = STACKS[name]
    stack = Stack(layers)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1)).requires_grad_()
    outputs = stack.trace(values)
    chance = torch.randn_like(outputs[-1])
    (expected,) = torch.autograd.grad(outputs[-1], values, chance)
    torch.testing.assert_close(stack.pull_back(chance, outputs), expected, atol=1e-5, rtol=1e-5)


def test_the_last_layer_may_give_any_value_and_the_others_leak():
    first, last = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False)
    for layer in (first, last):
        nn.init.ones_(layer.weight)
    inner, outer = Stack([first, last]).trace(torch.full((1, 1, 1, 1), -1.0))
    assert inner.item() == pytest.approx(-0.2)
    assert outer.item() == pytest.approx(-0.2)
