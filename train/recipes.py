"""Every method we can train, and every variant, by the name used in params.yaml.

A variant has no file of its own: it is a method's model fitted in another way. One that differs in
its numbers alone needs no entry: what is called `fpi-…` is fitted as `fpi` is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from infer.errors import UnknownChoiceError
from train.attention import watch_attention
from train.collapse import Watched, watch_generator, watch_nothing
from train.component_pictures import watch_components
from train.latent_pictures import watch_latents
from train.loops.adversarial import fit_adversarially
from train.loops.atlas import fit_with_atlas
from train.loops.clusters import fit_from_clusters
from train.loops.gradient import fit_by_gradient
from train.loops.memory import fit_by_remembering, fit_with_memory
from train.loops.mixture import fit_mixture_only, fit_with_mixture
from train.loops.supervised import fit_with_labels
from train.methods.cae import Cae, CaeConfig
from train.methods.cevae import Cevae, CevaeConfig
from train.methods.dae import Dae, DaeConfig
from train.methods.dagmm import Dagmm, DagmmConfig
from train.methods.densenet import DenseNet, DenseNetConfig
from train.methods.fanogan import FAnoGan, FAnoGanConfig, FurtherEncoderConfig
from train.methods.fpi import Fpi, FpiConfig, FpiNeighbours, FpiNeighboursConfig
from train.methods.gmvae import Gmvae, GmvaeConfig
from train.methods.neighbours import Neighbours, NeighboursConfig
from train.methods.ssae import Ssae, SsaeConfig
from train.methods.vae import Vae, VaeConfig
from train.shapes import Images


class Recipe(NamedTuple):
    """What a method is made of: its numbers, its model, how it is fitted and what to watch."""

    config: type[Any]
    model: Callable[..., Any]  # model(config, channels, image_size)
    fit: Callable[..., Any]  # a generator of `train.loops.record.Record`
    watch: Callable[[Any, Images], Watched]  # of the model and as many normal images
    shared: tuple[str, ...] = ()  # networks taken over, as they are, from the fit it is `of`

    @property
    def supervised(self) -> bool:
        """Whether abnormal images are trained on, with their labels."""
        return self.fit is fit_with_labels

    @property
    def remembers(self) -> bool:
        """Whether a fitted model holds training images, which can be redrawn from its file."""
        return self.fit in (fit_by_remembering, fit_with_memory)


GAN = ("generator", "critic")

RECIPES = {
    "cae": Recipe(CaeConfig, Cae, fit_by_gradient, watch_nothing),
    "fanogan": Recipe(FAnoGanConfig, FAnoGan, fit_adversarially, watch_generator),
    "fanogan-izi": Recipe(FurtherEncoderConfig, FAnoGan, fit_adversarially, watch_nothing, GAN),
    "fanogan-ziz": Recipe(FurtherEncoderConfig, FAnoGan, fit_adversarially, watch_nothing, GAN),
    "ssae": Recipe(SsaeConfig, Ssae, fit_by_gradient, watch_nothing),
    "vae": Recipe(VaeConfig, Vae, fit_by_gradient, watch_latents),
    "cevae": Recipe(CevaeConfig, Cevae, fit_by_gradient, watch_latents),
    "gmvae": Recipe(GmvaeConfig, Gmvae, fit_from_clusters, watch_components),
    "dae": Recipe(DaeConfig, Dae, fit_by_gradient, watch_nothing),
    "fpi": Recipe(FpiConfig, Fpi, fit_with_atlas, watch_nothing),
    # An entry of its own, for whether a file holds scans is known by its method's name.
    "fpi-neighbours": Recipe(FpiNeighboursConfig, FpiNeighbours, fit_with_memory, watch_nothing),
    "neighbours": Recipe(NeighboursConfig, Neighbours, fit_by_remembering, watch_nothing),
    "dagmm": Recipe(DagmmConfig, Dagmm, fit_with_mixture, watch_nothing),
    "dagmm-untrained": Recipe(DagmmConfig, Dagmm, fit_mixture_only, watch_nothing),
    "densenet": Recipe(DenseNetConfig, DenseNet, fit_with_labels, watch_attention),
}


def find(method: str) -> Recipe:
    """The recipe of a method or of a variant.

    Raises:
        UnknownChoiceError: there is no such method.
    """
    if not is_known(method):
        raise UnknownChoiceError(
            f"method {method!r} is unknown", hint=f"known methods: {', '.join(RECIPES)}"
        )
    return RECIPES[_entry(method)]


def is_known(method: str) -> bool:
    """Whether there is a recipe of a method or of a variant."""
    return _entry(method) in RECIPES


def _entry(method: str) -> str:
    """The entry that a name falls under: its own, or else the longest that it goes on from."""
    begun = [
        it for it in RECIPES if method == it or method.removeprefix(f"{it}-") not in {method, ""}
    ]
    return max(begun, key=len, default="")
