import math
from typing import get_args

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from infer.errors import UnknownChoiceError
from train.networks.variational import (
    AnomalyMap,
    Posterior,
    Variational,
    VariationalShape,
    kl_of,
    kls_of,
)

MAPS = get_args(AnomalyMap)


def variational(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    numbers = {"features": (4, 8, 16), "latent": 6, "variance": 0.05}
    shape = VariationalShape(channels=channels, image_size=image_size, **(numbers | changes))
    return Variational(shape)


def images(count=3, channels=1, image_size=(32, 32)):
    return torch.rand(count, channels, *image_size, generator=torch.Generator().manual_seed(1))


def test_the_kl_is_that_of_two_gaussians():
    mean, log_variance = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    ours = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(ours, Normal(torch.zeros(5, 4), torch.ones(5, 4)))
    torch.testing.assert_close(kls_of(Posterior(mean, log_variance)), expected)
    torch.testing.assert_close(kl_of(Posterior(mean, log_variance)), expected.sum(dim=1))


def test_the_kl_by_hand():
    # σ² = 4 and μ = 1: (1 + 4 − ln 4 − 1) / 2, and a latent that is N(0, 1) adds nothing.
    posterior = Posterior(torch.tensor([[1.0, 0.0]]), torch.tensor([[math.log(4.0), 0.0]]))
    assert kl_of(posterior).item() == pytest.approx((4 - math.log(4)) / 2)


def test_the_likelihood_is_that_of_a_gaussian_but_for_its_constant():
    model = variational(variance=0.05)
    some, others = images(3), images(3).flip(0)
    gaussian = Normal(others, math.sqrt(0.05))
    nats = -gaussian.log_prob(some).flatten(1).sum(dim=1)
    constant = 32 * 32 * 0.5 * math.log(2 * math.pi * 0.05)
    torch.testing.assert_close(model.unlikelihood(some, others), nats - constant, rtol=1e-4, atol=0)
    torch.testing.assert_close(model.unlikelihood(some, some), torch.zeros(3))


def test_latents_are_drawn_from_the_posterior():
    torch.manual_seed(2)
    posterior = Posterior(torch.full((20_000, 1), 3.0), torch.full((20_000, 1), math.log(0.25)))
    drawn = variational().draw(posterior)
    assert drawn.mean().item() == pytest.approx(3.0, abs=0.02)  # σ/√n is 0.004
    assert drawn.std().item() == pytest.approx(0.5, abs=0.02)


def loss_by_autograd(model, some, of):
    """Gradient of the whole loss, or of its KL alone, by the image."""
    some = some.clone().requires_grad_()
    posterior = model.encode(some)
    loss = kl_of(posterior).sum()
    if of == "elbo_gradient":
        loss = loss + model.unlikelihood(some, model.decode(posterior.mean)).sum()
    (gradient,) = torch.autograd.grad(loss, some)
    return gradient.abs()


@pytest.mark.parametrize("of", ["elbo_gradient", "kl_gradient"])
@pytest.mark.parametrize(
    ("channels", "image_size", "features"),
    [(1, (32, 32), (4, 8, 16)), (2, (64, 32), (3, 5)), (1, (32, 32, 32), (2, 4, 4, 4))],
    ids=["square", "oblong, 2 channels", "3D"],
)
def test_the_gradient_maps_are_those_of_autograd(of, channels, image_size, features):
    model = variational(channels, image_size, features=features)
    # Untrained, log-variances are near 0 and their gradient too: move them, so that it counts.
    nn.init.normal_(model.encoder.layers[-1].bias)
    some = images(3, channels, image_size)
    expected = loss_by_autograd(model, some, of)
    with torch.no_grad():
        found = model.look(some, of).evidence
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert expected.max() > 1e-3


def test_the_likelihood_map_adds_up_to_the_images_loss():
    seen = variational().look(images(), "likelihood")
    torch.testing.assert_close(seen.evidence.flatten(1).sum(dim=1), seen.elbo.likelihood)


def test_the_residual_map_keeps_its_sign():
    seen = variational().look(images(), "residual")
    torch.testing.assert_close(seen.evidence, images() - seen.reconstruction)


@pytest.mark.parametrize("anomaly_map", MAPS)
def test_a_look_leaves_nothing_to_chance_and_regards_no_neighbours(anomaly_map):
    model = variational()
    among, alone = model.look(images(), anomaly_map), model.look(images()[:1], anomaly_map)
    torch.testing.assert_close(alone.evidence, among.evidence[:1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone.elbo.kl, among.elbo.kl[:1])
    assert torch.equal(model.look(images(), anomaly_map).evidence, among.evidence)


def test_layers_are_those_of_the_brain_study():
    model = variational(image_size=(64, 64), features=(16, 32, 64, 256), latent=256)
    down, up = model.encoder.layers, model.decoder.layers
    assert [it.out_channels for it in down] == [16, 32, 64, 256, 2 * 256]
    assert [it.out_channels for it in up] == [256, 64, 32, 16, 1]
    assert {type(it) for it in down} == {nn.Conv2d}
    assert {type(it) for it in up} == {nn.ConvTranspose2d}
    assert [it.stride for it in down] == [(2, 2)] * 4 + [(1, 1)]
    assert model.encode(images(2, 1, (64, 64))).mean.shape == (2, 256)


@pytest.mark.parametrize("features", [(), (2,) * 6])
def test_too_many_halvings_are_refused(features):
    with pytest.raises(UnknownChoiceError, match="features are not possible"):
        variational(features=features)
