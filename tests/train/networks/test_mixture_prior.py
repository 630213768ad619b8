"""The mixture against scipy, torch's own divergences and numerical integrals."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import norm
from torch.distributions import Independent, Normal, kl_divergence

from train.networks.mixture_prior import MixturePrior
from train.networks.variational import Posterior, kl_of

FLOOR = 0.01


def prior_of(components, latent, *, trained=True):
    """A mixture with everything different in every component, as after a fit."""
    torch.manual_seed(0)
    prior = MixturePrior(components=components, latent=latent, variance_floor=FLOOR)
    if trained:
        for parameter in prior.parameters():
            torch.nn.init.normal_(parameter, std=0.8)
    return prior


def posterior_of(batch, latent):
    chance = torch.Generator().manual_seed(1)
    mean, log_variance = (torch.randn(batch, latent, generator=chance) for _ in range(2))
    return Posterior(2 * mean, log_variance)


def gaussians(mean, variance):
    return Independent(Normal(mean, variance.sqrt()), 1)


@torch.no_grad()
def test_one_component_is_at_first_the_prior_of_a_vae():
    prior, posterior = prior_of(1, 5, trained=False), posterior_of(7, 5)
    found = prior.kl(posterior)
    torch.testing.assert_close(found.latents, kl_of(posterior))
    torch.testing.assert_close(found.membership, torch.zeros(7))


@torch.no_grad()
def test_divergences_from_each_component_are_torchs():
    prior, posterior = prior_of(4, 5), posterior_of(7, 5)
    one = gaussians(posterior.mean[:, None], posterior.log_variance.exp()[:, None])
    expected = kl_divergence(one, gaussians(prior.means, prior.variances))
    torch.testing.assert_close(prior.kls(posterior), expected)


@torch.no_grad()
def test_the_two_terms_add_up_to_the_bound():
    prior, posterior = prior_of(4, 5), posterior_of(7, 5)
    found = prior.kl(posterior)
    exponents = (prior.log_weights - prior.kls(posterior)).double().numpy()
    np.testing.assert_allclose(sum(found), -logsumexp(exponents, axis=1), rtol=1e-5)
    assert min(found.latents.min(), found.membership.min()) >= 0


@torch.no_grad()
def test_the_memberships_are_the_best_there_are():
    prior, posterior = prior_of(4, 5), posterior_of(7, 5)
    memberships, kls = prior.memberships(posterior), prior.kls(posterior)
    torch.testing.assert_close(memberships.sum(dim=1), torch.ones(7))

    def bound(shares):
        return (shares * (kls + shares.log() - prior.log_weights)).sum(dim=1)

    others = torch.rand(7, 4) + 0.01
    others = 0.9 * memberships + 0.1 * others / others.sum(dim=1, keepdim=True)
    assert torch.all(bound(others) > sum(prior.kl(posterior)))


def integral_of_kl(prior, posterior):
    """KL(q ‖ p) of one latent, by summing over a fine grid."""
    z = np.linspace(-60, 60, 400_001)
    q = norm(posterior.mean.item(), np.exp(posterior.log_variance.item() / 2))
    each = norm(prior.means.numpy(), prior.variances.sqrt().numpy()).logpdf(z)
    log_p = logsumexp(each + prior.log_weights.numpy()[:, None], axis=0)
    return np.trapezoid(q.pdf(z) * (q.logpdf(z) - log_p), z)


@torch.no_grad()
@pytest.mark.parametrize("components", [1, 3])
def test_the_bound_lies_above_the_divergence_and_on_it_for_one_component(components):
    prior = prior_of(components, 1)
    for posterior in zip(*posterior_of(5, 1), strict=True):
        one = Posterior(*(it[None] for it in posterior))
        bound, exact = sum(prior.kl(one)).item(), integral_of_kl(prior, one)
        if components == 1:
            assert bound == pytest.approx(exact, rel=1e-4)
        else:
            assert exact - 1e-4 < bound < exact + np.log(components) + 1e-4


@torch.no_grad()
def test_between_components_far_apart_the_bound_is_the_divergence():
    prior = prior_of(2, 1)
    prior.means[:] = torch.tensor([[-20.0], [20.0]])
    posterior = Posterior(torch.tensor([[19.0]]), torch.tensor([[-1.0]]))
    found, exact = prior.kl(posterior), integral_of_kl(prior, posterior)
    assert sum(found).item() == pytest.approx(exact, rel=1e-4)
    assert found.membership.item() == pytest.approx(-prior.log_weights[1].item(), rel=1e-4)


@torch.no_grad()
def test_energy_is_the_negative_log_density_of_the_mixture():
    prior, latents = prior_of(4, 6), posterior_of(9, 6).mean
    each = norm(prior.means.numpy(), prior.variances.sqrt().numpy())
    logs = each.logpdf(latents.numpy()[:, None]).sum(axis=2) + prior.log_weights.numpy()
    np.testing.assert_allclose(prior.energy(latents), -logsumexp(logs, axis=1), rtol=1e-5)


@torch.no_grad()
def test_latents_far_from_everything_still_have_numbers():
    prior = prior_of(4, 6)
    far = Posterior(torch.full((1, 6), 1e4), torch.full((1, 6), -20.0))
    found = (*prior.kl(far), prior.energy(far.mean), prior.memberships(far))
    assert all(torch.isfinite(it).all() for it in found)


@torch.no_grad()
def test_no_variance_falls_below_the_floor_and_all_are_1_at_first():
    prior = prior_of(3, 4, trained=False)
    torch.testing.assert_close(prior.variances, torch.ones(3, 4))
    prior.log_excess[:] = -1e3
    torch.testing.assert_close(prior.variances, torch.full((3, 4), FLOOR))


@torch.no_grad()
def test_components_are_placed_where_no_other_means_and_variances_have_a_smaller_loss():
    prior, posterior = prior_of(2, 3, trained=False), posterior_of(12, 3)
    clusters = torch.tensor([0] * 4 + [1] * 8)
    prior.place(*posterior, clusters)
    torch.testing.assert_close(prior.log_weights.exp(), torch.tensor([1 / 3, 2 / 3]))

    def loss():
        return prior.kls(posterior)[range(12), clusters].mean()

    best = loss()
    for parameter in (prior.means, prior.log_excess):
        for step in (-0.01, 0.01):
            for at in np.ndindex(2, 3):
                parameter[at] += step
                assert loss() > best
                parameter[at] -= step


@torch.no_grad()
def test_draws_begin_with_the_mean_and_are_spread_as_their_component():
    prior = prior_of(3, 2)
    drawn = prior.draw(20_001, torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn[:, 0], prior.means)
    torch.testing.assert_close(drawn[:, 1:].mean(dim=1), prior.means, atol=0.05, rtol=0)
    torch.testing.assert_close(drawn[:, 1:].var(dim=1), prior.variances, atol=0, rtol=0.05)
