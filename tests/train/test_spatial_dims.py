"""Every method says what it looks at; what it does not look at is refused before a fit."""

import pytest
import torch

from infer.errors import UnknownChoiceError
from train.params import BadParamsError, Params, load
from train.recipes import RECIPES, find
from train.spatial_dims import refuse_other_dims, volumetric_methods

PARAMS = load("params.yaml")
IN_THE_STUDY = [name for name in RECIPES if name in PARAMS.names("fit")]


def params_of(image_size, method, dims=2):
    values = dict(PARAMS.values)
    values["data"] = {**values["data"], "image_size": image_size}
    block = dict(values["fit"][method])
    if "spatial_dims" in block:
        block["spatial_dims"] = dims
    values["fit"] = {**values["fit"], method: block}
    return Params("params.yaml", values)


@pytest.mark.parametrize("method", IN_THE_STUDY)
def test_every_method_of_the_default_study_takes_slices(method):
    refuse_other_dims(params_of([32, 32], method), method)


@pytest.mark.parametrize("method", [it for it in IN_THE_STUDY if it not in volumetric_methods()])
def test_methods_of_slices_refuse_volumes_in_words(method):
    with pytest.raises(BadParamsError, match=f"{method} looks at slices only") as refusal:
        refuse_other_dims(params_of([32, 32, 32], method), method)
    assert "cae, vae" in refusal.value.hint


@pytest.mark.parametrize("method", volumetric_methods())
def test_methods_of_volumes_take_them_and_refuse_slices(method):
    refuse_other_dims(params_of([32, 32, 32], method, dims=3), method)
    for image_size, dims in (([32, 32, 32], 2), ([32, 32], 3)):
        with pytest.raises(BadParamsError, match=f"fit.{method}.spatial_dims is {dims}"):
            refuse_other_dims(params_of(image_size, method, dims=dims), method)


@pytest.mark.parametrize("method", volumetric_methods())
def test_a_model_is_not_built_for_images_it_does_not_look_at(method):
    recipe = find(method)
    config = params_of([32, 32, 32], method, dims=3).block(recipe.config, "fit", method)
    with pytest.raises(UnknownChoiceError, match="spatial_dims is 3, but image_size"):
        recipe.model(config, 1, (32, 32))
    images = torch.rand(1, 1, 32, 64, 32)
    assert (
        recipe.model(config, 1, (32, 64, 32)).eval().findings(images).evidence.shape == images.shape
    )
