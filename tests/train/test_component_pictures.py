import pytest
import torch

from tests.train.methods.test_gmvae import gmvae, images
from train.component_pictures import DRAWN, largest_distance, number_in_use, watch_components


@torch.no_grad()
def model_of(**changes):
    model = gmvae(**changes)
    torch.nn.init.orthogonal_(model.prior.means, gain=3.0)
    return model


def test_a_mixture_in_use_is_shown_and_not_warned_of():
    seen = watch_components(model_of(), images(16))
    assert seen.warnings == ()
    assert 1.5 < seen.metrics["components_in_use"] <= 3
    assert seen.grids["components"].shape == (3 * DRAWN, 1, 32, 32)


def test_a_component_that_has_all_images_is_warned_of():
    model = model_of()
    with torch.no_grad():
        model.prior.logits[:] = torch.tensor([30.0, 0.0, 0.0])
    (warning,) = watch_components(model, images(16)).warnings
    assert "of 3 components, 1.0 are in use" in warning


def test_components_that_have_become_equal_are_warned_of():
    model = model_of()
    with torch.no_grad():
        model.prior.means[:] = 0
    seen = watch_components(model, images(16))
    assert seen.metrics["components_in_use"] == pytest.approx(3)  # each has a third of each image
    (warning,) = seen.warnings
    assert "its components are alike" in warning


def test_one_component_is_what_was_asked_for():
    assert watch_components(gmvae(components=1), images(16)).warnings == ()


@torch.no_grad()
def test_each_row_begins_with_the_image_of_its_mean_the_most_common_first():
    model = model_of().eval()
    model.prior.logits[:] = torch.tensor([0.0, 20.0, 10.0])
    shown = watch_components(model, images(16)).grids["components"]
    means = model.network.decode(model.prior.means[[1, 2, 0]])
    torch.testing.assert_close(torch.from_numpy(shown[::DRAWN]), means, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("shares", "number"), [([1.0, 0.0], 1.0), ([0.5, 0.5], 2.0), ([0.25] * 4, 4.0)]
)
def test_as_many_are_in_use_as_share_the_images_evenly(shares, number):
    assert number_in_use(torch.tensor(shares)) == pytest.approx(number)


@torch.no_grad()
def test_components_a_standard_deviation_apart_are_a_nat_apart():
    prior = gmvae(components=2, latent=1).prior
    prior.means[:] = torch.tensor([[0.0], [1.0]])
    assert largest_distance(prior) == pytest.approx(1.0)
