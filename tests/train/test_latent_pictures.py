import pytest
import torch
from torch import nn

from tests.train.methods.test_vae import images, vae
from train.latent_pictures import ROUTES, SAMPLES, STEPS, route, watch_latents


def test_a_route_leads_straight_from_one_latent_to_another_in_even_steps():
    start, end = torch.tensor([0.0, 7.0]), torch.tensor([7.0, 0.0])
    steps = route(start, end)
    assert torch.equal(steps[0], start)
    assert torch.equal(steps[-1], end)
    torch.testing.assert_close(steps.diff(dim=0), torch.tensor([1.0, -1.0]).expand(STEPS - 1, 2))


def test_samples_and_routes_between_images_are_shown():
    model = vae()
    seen = watch_latents(model, images(20))
    assert seen.grids["samples"].shape == (SAMPLES, 1, 32, 32)
    routes = seen.grids["interpolations"]
    assert routes.shape == (ROUTES * STEPS, 1, 32, 32)
    redrawn = model.findings(images(20)).reconstruction.detach()
    torch.testing.assert_close(torch.from_numpy(routes[0]), redrawn[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        torch.from_numpy(routes[STEPS - 1]), redrawn[1], atol=1e-5, rtol=1e-5
    )


def test_the_same_samples_are_drawn_each_time_and_chance_goes_on_as_if_nobody_had_looked():
    model = vae()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first, second = (watch_latents(model, images()).grids["samples"] for _ in range(2))
    assert (first == second).all()
    assert torch.rand(1) == expected


def test_a_latent_that_says_nothing_is_not_in_use():
    model = vae(latent=4)
    head = model.network.encoder.layers[-1]
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)  # N(0, 1) whatever the image: the posterior has collapsed
    assert watch_latents(model, images()).metrics["active_latents"] == 0
    nn.init.constant_(head.bias[:1], 2.0)
    assert watch_latents(model, images()).metrics["active_latents"] == pytest.approx(0.25)


def test_of_one_image_alone_there_is_no_route():
    assert set(watch_latents(vae(), images(1)).grids) == {"samples"}
