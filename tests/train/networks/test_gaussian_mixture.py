import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from train.networks.gaussian_mixture import (
    Moments,
    StoredMixture,
    densities_of,
    energies,
    inverse_variances,
    moments_of,
)


def latents(count=200, size=3, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def memberships(count=200, components=2, seed=1):
    draws = torch.randn(count, components, generator=torch.Generator().manual_seed(seed))
    return draws.softmax(dim=1)


def moments():
    """Two correlated components of three latents."""
    factors = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(2)).double()
    return Moments(
        shares=torch.tensor([0.3, 0.7], dtype=torch.float64),
        means=torch.tensor([[0.0, 1.0, 2.0], [-1.0, 0.5, 0.0]], dtype=torch.float64),
        covariances=factors @ factors.mT + 0.1 * torch.eye(3, dtype=torch.float64),
    )


def test_the_energy_is_minus_the_log_density_of_scipys_mixture():
    mixture, seen = moments(), latents()
    densities = [
        np.log(share) + multivariate_normal(mean, covariance).logpdf(seen.double().numpy())
        for share, mean, covariance in zip(*(it.numpy() for it in mixture), strict=True)
    ]
    expected = -logsumexp(densities, axis=0)
    np.testing.assert_allclose(energies(seen, densities_of(mixture)), expected, rtol=1e-9)


def test_the_energy_is_minus_the_samples_score_of_sklearns_mixture():
    seen = torch.cat([latents(), 0.3 * latents(seed=5) + 4])
    reference = GaussianMixture(2, random_state=0).fit(seen.double().numpy())
    mixture = Moments(
        *(
            torch.from_numpy(it)
            for it in (reference.weights_, reference.means_, reference.covariances_)
        )
    )
    expected = -reference.score_samples(seen.double().numpy())
    np.testing.assert_allclose(energies(seen, densities_of(mixture)), expected, rtol=1e-6)


def test_moments_are_the_weighted_ones_with_the_floor_on_the_variances():
    seen, weights = latents(), memberships()
    found = moments_of(seen, weights, floor=0.5)
    for component in range(2):
        share = weights[:, component].numpy().astype(np.float64)
        covariance = np.cov(seen.T.numpy(), aweights=share, ddof=0) + 0.5 * np.eye(3)
        np.testing.assert_allclose(found.covariances[component], covariance, rtol=1e-5, atol=1e-7)
        mean = np.average(seen.numpy(), axis=0, weights=share)
        np.testing.assert_allclose(found.means[component], mean, rtol=1e-5, atol=1e-7)
        assert found.shares[component] == pytest.approx(share.mean())


def same_images():
    return torch.ones(8, 3)


def one_line():
    return latents(50, 1).expand(50, 3) * torch.tensor([1.0, 2.0, 1e4])


@pytest.mark.parametrize(
    "seen", [same_images(), one_line(), latents(2)], ids=["point", "line", "2"]
)
def test_a_singular_covariance_gives_finite_energies_and_gradients(seen):
    seen = seen.clone().requires_grad_()
    mixture = moments_of(seen, memberships(len(seen)), floor=1e-6)
    found = energies(seen, densities_of(mixture))
    (found.mean() + inverse_variances(mixture)).backward()
    assert found.isfinite().all()
    assert seen.grad.isfinite().all()


def test_a_component_without_members_changes_no_energy():
    nobody = torch.cat([memberships(), torch.zeros(200, 1)], dim=1)
    with_nobody = energies(latents(), densities_of(moments_of(latents(), nobody, 1e-6)))
    without = energies(latents(), densities_of(moments_of(latents(), memberships(), 1e-6)))
    torch.testing.assert_close(with_nobody, without, rtol=1e-4, atol=1e-4)


def test_the_penalty_is_the_sum_of_inverse_variances():
    covariances = torch.tensor([[[2.0, 1.0], [1.0, 4.0]], [[0.5, 0.0], [0.0, 1.0]]]).double()
    mixture = Moments(torch.tensor([0.5, 0.5]).double(), torch.zeros(2, 2).double(), covariances)
    assert inverse_variances(mixture) == pytest.approx(1 / 2 + 1 / 4 + 1 / 0.5 + 1 / 1)


def test_a_stored_mixture_is_a_standard_normal_until_one_is_stored():
    expected = -multivariate_normal(np.zeros(3)).logpdf(latents().numpy())
    np.testing.assert_allclose(StoredMixture(4, 3)(latents()), expected, rtol=1e-5)


def test_a_stored_mixture_says_in_float32_what_the_moments_say_in_float64():
    stored, narrow = StoredMixture(2, 3), moments_of(1e-2 * latents(), memberships(), 1e-6)
    stored.store(narrow)
    seen = 10 * latents(seed=7)  # far outside: exponents of a million
    expected = energies(seen, densities_of(narrow))
    assert stored(seen).dtype == torch.float32
    torch.testing.assert_close(stored(seen).double(), expected, rtol=1e-4, atol=0)


def test_an_energy_does_not_depend_on_the_other_latents():
    stored = StoredMixture(2, 3)
    stored.store(moments())
    assert torch.equal(stored(latents())[:1], stored(latents()[:1]))
