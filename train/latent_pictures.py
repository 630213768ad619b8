"""What a variational autoencoder draws: by chance, and on the way from one image to another."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from train.collapse import Watched
from train.networks.variational import Variational, kls_of
from train.shapes import Images, Latents

FIXED_SEED = 0  # of the latents that are drawn again and again over training
SAMPLES = 32
ROUTES = 4  # each between two images
STEPS = 8  # images along a route, its ends among them
ACTIVE_NATS = 0.1  # mean KL of a latent that says something of an image; unused ones are near 0


@torch.no_grad()
def watch_latents(model: Any, images: Images) -> Watched:
    """Chance samples, routes between pairs of `images`, and the share of latents in use."""
    model.eval()
    network: Variational = model.network
    posterior = network.encode(images)
    pairs = posterior.mean[: 2 * ROUTES].split(2)
    routes = [route(*pair) for pair in pairs if len(pair) == 2]
    chance = torch.Generator().manual_seed(FIXED_SEED)
    samples = torch.randn(SAMPLES, network.shape.latent, generator=chance).to(images.device)
    active = kls_of(posterior).mean(dim=0) > ACTIVE_NATS
    grids = {"samples": network.decode(samples).cpu().numpy()}
    if routes:  # of one image alone there are none
        grids["interpolations"] = network.decode(torch.cat(routes)).cpu().numpy()
    return Watched({"active_latents": float(active.float().mean())}, grids)


def route(start: Float[Tensor, " latent"], end: Float[Tensor, " latent"]) -> Latents:
    """Even steps along the straight line between two latents."""
    share = torch.linspace(0, 1, STEPS, device=start.device)[:, None]
    return (1 - share) * start + share * end
