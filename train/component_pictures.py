"""What the components of a latent mixture stand for: images of each. And: have all become one?

A mixture is useless in two ways: one component has all images, or all have become equal. Either way
it is a single Gaussian, and the method a VAE.
"""

from typing import Any

import torch
from torch import Tensor

from train.collapse import Watched
from train.networks.mixture_prior import MixturePrior
from train.networks.variational import Posterior, Variational
from train.shapes import Images

FIXED_SEED = 0  # of the latents that are drawn again and again over training
DRAWN = 8  # images of each component, a row of the picture; the first is of its mean
IN_USE_BELOW = 1.5  # of several components: one of them has nearly all images
ALIKE_BELOW = 0.1  # nats between the two most different components: no image tells them apart


@torch.no_grad()
def watch_components(model: Any, images: Images) -> Watched:
    """How many components `images` use, how different they are, and a row of images of each.

    The components that most images belong to come first.
    """
    model.eval()
    network: Variational = model.network
    prior: MixturePrior = model.prior
    shares = prior.memberships(network.encode(images)).mean(dim=0)
    in_use, distance = number_in_use(shares), largest_distance(prior)
    drawn = prior.draw(DRAWN, torch.Generator().manual_seed(FIXED_SEED))
    rows = drawn[shares.argsort(descending=True)].flatten(0, 1)
    return Watched(
        {"components_in_use": in_use, "component_distance": distance},
        {"components": network.decode(rows).cpu().numpy()},
        _warnings(len(shares), in_use, distance),
    )


def number_in_use(shares: Tensor) -> float:
    """Exponential of the entropy of the components' shares: 1 if one has all, else up to all."""
    return float(torch.special.entr(shares).sum().exp())


def largest_distance(prior: MixturePrior) -> float:
    """KL divergence, both ways together, between the two components that differ most, in nats."""
    kls = prior.kls(Posterior(prior.means, prior.variances.log()))
    return float((kls + kls.T).max())


def _warnings(components: int, in_use: float, distance: float) -> tuple[str, ...]:
    if components == 1:
        return ()
    verdicts = {
        f"the mixture has collapsed: of {components} components, {in_use:.1f} are in use": (
            in_use < IN_USE_BELOW
        ),
        f"the mixture has collapsed: its components are alike, {distance:.2g} nats apart": (
            distance < ALIKE_BELOW
        ),
    }
    return tuple(words for words, holds in verdicts.items() if holds)
