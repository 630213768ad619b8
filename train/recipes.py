"""Every method we can train, by the name used in params.yaml."""

from collections.abc import Callable
from typing import Any, NamedTuple

from infer.errors import UnknownChoiceError
from train.collapse import Watched, watch_generator, watch_nothing
from train.latent_pictures import watch_latents
from train.loops.adversarial import fit_adversarially
from train.loops.gradient import fit_by_gradient
from train.methods.cae import Cae, CaeConfig
from train.methods.cevae import Cevae, CevaeConfig
from train.methods.fanogan import FAnoGan, FAnoGanConfig
from train.methods.ssae import Ssae, SsaeConfig
from train.methods.vae import Vae, VaeConfig
from train.shapes import Images


class Recipe(NamedTuple):
    """What a method is made of: its numbers, its model, how it is fitted and what to watch."""

    config: type[Any]
    model: Callable[..., Any]  # model(config, channels, image_size)
    fit: Callable[..., Any]  # a generator of `train.loops.record.Record`
    watch: Callable[[Any, Images], Watched]  # of the model and as many normal images


RECIPES = {
    "cae": Recipe(CaeConfig, Cae, fit_by_gradient, watch_nothing),
    "fanogan": Recipe(FAnoGanConfig, FAnoGan, fit_adversarially, watch_generator),
    "ssae": Recipe(SsaeConfig, Ssae, fit_by_gradient, watch_nothing),
    "vae": Recipe(VaeConfig, Vae, fit_by_gradient, watch_latents),
    "cevae": Recipe(CevaeConfig, Cevae, fit_by_gradient, watch_latents),
}


def find(method: str) -> Recipe:
    """The recipe of a method.

    Raises:
        UnknownChoiceError: there is no such method.
    """
    if method not in RECIPES:
        raise UnknownChoiceError(
            f"method {method!r} is unknown", hint=f"known methods: {', '.join(RECIPES)}"
        )
    return RECIPES[method]
