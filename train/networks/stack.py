"""Convolutions with LeakyReLU between them, and the gradient through them written out.

`torch.autograd` does not run inside an exported graph. Through such a stack the chain rule is
short: each convolution transposed, each LeakyReLU the slope it had.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from train.networks.autoencoder import LEAK

CONV = {2: functional.conv2d, 3: functional.conv3d}
CONV_TRANSPOSE = {2: functional.conv_transpose2d, 3: functional.conv_transpose3d}


class Stack(nn.Module):
    """Convolutions, up or down, in turn; LeakyReLU after each but the last.

    Strides must divide what they meet: else the size before a convolution cannot be told from the
    size after it.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, values: Tensor) -> Tensor:
        return self.trace(values)[-1]

    def trace(self, values: Tensor) -> list[Tensor]:
        """What comes out of each layer, after its LeakyReLU."""
        outputs: list[Tensor] = []
        last = len(self.layers) - 1
        for place, layer in enumerate(self.layers):
            values = layer(values)
            if place < last:
                values = functional.leaky_relu(values, LEAK)
            outputs.append(values)
        return outputs

    def pull_back(self, gradient: Tensor, outputs: Sequence[Tensor]) -> Tensor:
        """The gradient by what went in, from the gradient by what came out.

        Args:
            outputs: the `trace` of what went in.
        """
        last = len(self.layers) - 1
        for place in range(last, -1, -1):
            if place < last:
                # LeakyReLU keeps signs: its output tells the slope as well as its input would.
                gradient = torch.where(outputs[place] > 0, gradient, LEAK * gradient)
            gradient = _transposed(self.layers[place], gradient)
        return gradient


def _transposed(layer: Any, gradient: Tensor) -> Tensor:
    """A convolution's gradient by its input: the opposite convolution, with the same kernel."""
    turned_round = isinstance(layer, nn.ConvTranspose2d | nn.ConvTranspose3d)
    convolve = (CONV if turned_round else CONV_TRANSPOSE)[gradient.ndim - 2]
    opposite: Tensor = convolve(gradient, layer.weight, stride=layer.stride, padding=layer.padding)
    return opposite
