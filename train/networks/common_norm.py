"""Batch normalisation over the batch of all processes, on any device.

torch's SyncBatchNorm does the same on GPUs only. Mean and variance are of the whole batch, as if
one process had seen it, and so are their gradients.
"""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class CommonBatchNorm(_BatchNorm):
    """Statistics of all processes' images while it learns; the running ones afterwards."""

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        """`(batch, channel, *spatial)`, the same number of images in each process."""
        if not self.training:
            return super().forward(input)
        axes = [axis for axis in range(input.ndim) if axis != 1]
        values, count = input.float(), distributed.get_world_size()
        mean = _sum_of_all(values.mean(axes)) / count
        # Around the common mean: the difference of two large numbers would lose the small one.
        centred = values - _along(mean, values)
        variance = _sum_of_all(centred.square().mean(axes)) / count
        self._remember(mean.detach(), variance.detach(), count * values.numel() // len(mean))
        scaled = centred * _along((variance + self.eps).rsqrt(), values)
        weighted = scaled * _along(self.weight, values) + _along(self.bias, values)
        return weighted.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """As torch does: running statistics hold the unbiased variance."""
        running: dict[str, Tensor] = dict(self.named_buffers())
        share = float(self.momentum or 0)
        running["num_batches_tracked"].add_(1)
        running["running_mean"].lerp_(mean, share)
        running["running_var"].lerp_(variance * (count / max(1, count - 1)), share)


def with_common_norm(network: nn.Module) -> None:
    """Let every batch normalisation in a network be one over all processes; weights stay."""
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm):
            common = CommonBatchNorm(child.num_features, eps=child.eps, momentum=child.momentum)
            common.load_state_dict(child.state_dict())
            setattr(network, name, common)
        else:
            with_common_norm(child)


class _Sum(torch.autograd.Function):
    """The sum over processes; each one's part has a share in the losses of all."""

    @staticmethod
    def forward(context: Any, part: Tensor) -> Tensor:
        return _all_reduced(part)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _all_reduced(gradient)


def _sum_of_all(part: Tensor) -> Tensor:
    summed: Tensor = _Sum.apply(part)  # type: ignore[no-untyped-call]
    return summed


def _all_reduced(part: Tensor) -> Tensor:
    summed = part.detach().clone()
    distributed.all_reduce(summed)
    return summed


def _along(channels: Tensor, like: Tensor) -> Tensor:
    return channels.reshape(1, -1, *[1] * (like.ndim - 2))
