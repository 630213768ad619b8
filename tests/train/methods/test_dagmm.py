import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from train.batches import Batches
from train.loops.mixture import fit_mixture, fit_mixture_only, fit_with_mixture
from train.methods.dagmm import Dagmm, DagmmConfig, distances
from train.methods.method import AnomalyModel
from train.networks.gaussian_mixture import densities_of, energies, moments_of

TINY = {
    "seed": 0,
    "device": "cpu",
    "devices": 1,
    "precision": "32-true",
    "intensity_range": (0.0, 1.0),
    "width": 4,
    "latent": 2,
    "dropout": 0.1,
    "components": 2,
    "estimation_width": 6,
    "estimation_dropout": 0.5,
    "covariance_floor": 1e-6,
    "energy_weight": 0.1,
    "penalty_weight": 0.005,
    "learning_rate": 1e-3,
    "weight_decay": 0.0,
    "batch_size": 4,
    "epochs": 2,
    "validate_every": 1,
}


def dagmm(channels=1, image_size=(32, 32), **changes):
    torch.manual_seed(0)
    return Dagmm(DagmmConfig(**(TINY | changes)), channels, image_size)


def images(count=10, channels=1, image_size=(32, 32)):
    return torch.rand(count, channels, *image_size, generator=torch.Generator().manual_seed(1))


def batches(intensity_range=(0.0, 1.0)):
    return Batches(
        images().numpy(),
        batch_size=4,
        change=lambda batch: 1 - batch,  # an augmentation nobody could overlook
        intensity_range=intensity_range,
        device=torch.device("cpu"),
    )


def run(fit, model):
    fabric = Fabric(accelerator="cpu", devices=1)
    return list(fit(fabric, model, model.optimizers(), batches(), range(2)))


def energy_of_training_mixture(model, seen):
    """What the energies of `seen` are under the mixture of the training set, by its definition."""
    model.eval()
    with torch.no_grad():
        mixture = moments_of(*model.describe(images()), model.config.covariance_floor)
        return energies(model.describe(seen)[0], densities_of(mixture)).float()


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("image_size", [(32, 32), (64, 32), (256, 256)])
def test_any_power_of_two_size_and_any_channels_are_redrawn(channels, image_size):
    seen = images(2, channels, image_size)
    found = dagmm(channels, image_size).eval().findings(seen)
    assert found.reconstruction.shape == seen.shape
    torch.testing.assert_close(found.evidence, seen - found.reconstruction)
    assert found.parts["energy"].shape == (2,)


def test_distances_are_those_of_a_hand_computed_case():
    seen, redrawn = torch.tensor([[[[3.0, 4.0]]]]), torch.tensor([[[[3.0, 0.0]]]])
    relative, cosine = distances(seen, redrawn)[0]
    assert relative == pytest.approx(4 / 5, rel=1e-5)
    assert cosine == pytest.approx(1 - 9 / 15, rel=1e-5)


def test_a_black_image_has_finite_distances_and_gradients():
    black = torch.zeros(2, 1, 4, 4)
    for seen, redrawn in [(black, black.clone()), (black, black + 1), (black + 1, black.clone())]:
        redrawn.requires_grad_()
        found = distances(seen, redrawn)
        found.sum().backward()
        assert found.isfinite().all()
        assert redrawn.grad.isfinite().all()


def test_the_loss_is_redrawing_error_energy_and_penalty_by_their_weights():
    loss = dagmm(energy_weight=0.5, penalty_weight=0.25).training_loss(images())
    expected = (
        loss.terms["reconstruction"] + 0.5 * loss.terms["energy"] + 0.25 * loss.terms["penalty"]
    )
    torch.testing.assert_close(loss.total, expected)
    assert {*loss.terms} == {"reconstruction", "energy", "penalty"}


@pytest.mark.parametrize(
    "seen", [images(4), images(1).expand(4, 1, 32, 32), torch.zeros(4, 1, 32, 32)]
)
def test_loss_and_gradients_are_finite_even_where_all_images_are_alike(seen):
    model = dagmm()
    model.training_loss(seen).total.backward()
    gradients = [it.grad for it in model.parameters() if it.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_the_stored_mixture_is_that_of_the_whole_training_set_as_it_is():
    model = dagmm()
    fit_mixture(model, batches())
    seen = images(3).flip(0)
    expected = energy_of_training_mixture(model, seen)
    with torch.no_grad():
        found = model.findings(seen).parts["energy"]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_after_each_epoch_the_mixture_is_that_of_the_weights_the_epoch_left():
    model = dagmm()
    fitting = fit_with_mixture(
        Fabric(accelerator="cpu", devices=1), model, model.optimizers(), batches(), range(2)
    )
    for record in fitting:
        assert record.candidate
        assert {"loss", "loss_energy", "loss_penalty", "loss_reconstruction"} <= {*record.losses}
        with torch.no_grad():
            found = model.eval().findings(images(3)).parts["energy"]
        expected = energy_of_training_mixture(model, images(3))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_mixture_is_fitted_in_the_methods_intensity_range():
    model, other = dagmm(intensity_range=(-1.0, 1.0)), dagmm(intensity_range=(-1.0, 1.0))
    fit_mixture(model, batches(intensity_range=(-1.0, 1.0)))
    other.eval()
    with torch.no_grad():
        other.store_mixture(*other.describe(images() * 2 - 1))
    torch.testing.assert_close(model.mixture.means, other.mixture.means)


def test_untrained_means_that_only_the_mixture_changes():
    model = dagmm()
    before = {name: it.clone() for name, it in model.state_dict().items()}
    records = run(fit_mixture_only, model)
    changed = {n for n, it in model.state_dict().items() if not torch.equal(it, before[n])}
    assert [record.candidate for record in records] == [True, True]
    assert changed == {"mixture.means", "mixture.whitening", "mixture.log_weights"}


def test_the_energy_of_an_image_is_the_same_whatever_its_neighbours():
    model = dagmm()
    fit_mixture(model, batches())
    with torch.no_grad():
        alone = model.findings(images()[:1]).parts["energy"]
        among = model.findings(images()).parts["energy"][:1]
    np.testing.assert_allclose(alone, among, rtol=1e-4, atol=1e-4)


def test_it_is_an_anomaly_model():
    assert isinstance(dagmm(), AnomalyModel)
