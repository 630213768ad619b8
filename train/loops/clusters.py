"""Fit by gradient descent; once, place the components of a latent mixture where latents gather.

By gradients alone, one component takes all images early and the others never learn: what is far
from all latents has no part in the loss. So at first there is one Gaussian in effect, and after
some epochs k-means says where the components begin (as Jiang et al., "Variational Deep Embedding",
IJCAI 2017, do after a fit without a mixture). From then on they are learned with the rest.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from sklearn.cluster import KMeans
from torch.optim import Optimizer

from infer.errors import UnknownChoiceError
from train.batches import Batches, at_once
from train.loops.gradient import fit_by_gradient
from train.loops.record import Record
from train.processes import made_alike

STARTS = 10  # of k-means, of which the best is taken


def fit_from_clusters(
    fabric: Fabric,
    model: Any,
    optimizers: Mapping[str, Optimizer],
    batches: Batches,
    records: Iterable[int],
) -> Iterator[Record]:
    """Yield after each epoch; before there are components, a model is no candidate."""
    config = model.config
    for epoch in records:
        if epoch == config.warm_up:
            place_components(model, batches)
            made_alike(fabric, model)
        for record in fit_by_gradient(fabric, model, optimizers, batches, [epoch]):
            yield record._replace(candidate=epoch >= config.warm_up)


@torch.no_grad()
def place_components(model: Any, batches: Batches) -> None:
    """Give each cluster of the training images' latents a component: unchanged images, eval mode.

    Raises:
        UnknownChoiceError: there are fewer images than components.
    """
    model.eval()
    count, components = len(batches.images), model.config.components
    if count < components:
        raise UnknownChoiceError(
            f"{components} components cannot be placed among {count} training images",
            hint="lower components",
        )
    some = at_once(batches.images.shape[2:])
    posteriors = [model.network.encode(images) for images in batches.unchanged(some)]
    mean, log_variance = (torch.cat(it) for it in zip(*posteriors, strict=True))
    if not mean.isfinite().all():
        return  # the fit has diverged: there are no clusters, and its loss says so
    kmeans = KMeans(components, n_init=STARTS, random_state=model.config.seed)
    clusters = torch.from_numpy(kmeans.fit_predict(mean.cpu().numpy()))
    model.prior.place(mean, log_variance, clusters.to(mean.device))
