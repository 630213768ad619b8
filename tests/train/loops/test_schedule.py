import numpy as np
import torch

from train.loops.schedule import set_rate, share_of_rate


def test_the_rate_rises_to_the_full_and_falls_to_almost_nothing():
    shares = np.array([share_of_rate(step, 200) for step in range(200)])
    peak = shares.argmax()
    assert 0.95 < shares.max() <= 1
    assert peak < 20
    assert np.all(np.diff(shares[: peak + 1]) > 0)
    assert np.all(np.diff(shares[peak:]) <= 0)
    assert shares[-1] < 1e-3
    assert shares.min() > 0


def test_the_shortest_fit_still_learns():
    assert share_of_rate(0, 1) == 1


def test_all_parameters_of_an_optimiser_get_the_rate():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=7.0)
    set_rate(optimizer, 2.0, 50, 100)
    assert optimizer.param_groups[0]["lr"] == 1.0
