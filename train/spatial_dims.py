"""Does a method look at what a study shows it: slices, or whole volumes?

The length of `data.image_size` says what a study shows, a method's own `spatial_dims` what it looks
at; methods whose blocks have no such number look at slices.
"""

from typing import Any, get_args, get_type_hints

from train.data import DataConfig
from train.params import BadParamsError, Params
from train.recipes import RECIPES, find

SHOWN = {2: "slices", 3: "whole volumes"}
FIELD = "spatial_dims"


def refuse_other_dims(params: Params, method: str) -> None:
    """Refuse a method that looks at something else than its study's images.

    Raises:
        BadParamsError: it does.
    """
    image_size = params.block(DataConfig, "data").image_size
    config = params.block(find(method).config, "fit", method)
    dims = getattr(config, FIELD, 2)
    if dims == len(image_size):
        return
    said = f"data.image_size {list(image_size)} is of {SHOWN[len(image_size)]}"
    if not _has_choice(type(config)):
        raise BadParamsError(
            f"{params.path}: {said}, and {method} looks at {SHOWN[dims]} only",
            hint=f"whole volumes are for {', '.join(volumetric_methods())}, with {FIELD}: 3",
        )
    raise BadParamsError(
        f"{params.path}: {said}, but fit.{method}.{FIELD} is {dims}",
        hint=f"set {FIELD}: {len(image_size)}, or give image_size {dims} sides",
    )


def volumetric_methods() -> list[str]:
    """The methods that can look at whole volumes."""
    return [name for name, recipe in RECIPES.items() if _has_choice(recipe.config)]


def _has_choice(config: type[Any]) -> bool:
    """Whether a method's numbers say if it looks at slices or volumes."""
    return 3 in get_args(get_type_hints(config).get(FIELD))
