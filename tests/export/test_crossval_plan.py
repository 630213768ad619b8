"""What a cross validation has to run, planned from numbers alone."""

from export import crossval_plan
from train.params import load


def test_numbers_of_an_ablation_are_laid_over_the_studys():
    params = load("params.yaml")
    laid_over = crossval_plan.with_blocks(params, {"augment": {"translation": 0.0}})
    assert laid_over.values["augment"]["translation"] == 0.0
    assert laid_over.values["augment"]["scale"] == params.values["augment"]["scale"]


def test_an_ablation_may_name_one_number_of_a_block_within_a_block():
    params = load("params.yaml")
    laid_over = crossval_plan.with_blocks(
        params, {"data": {"preprocessing": {"foreground": "brain"}}}
    )
    said = laid_over.values["data"]
    assert said["preprocessing"] == params.values["data"]["preprocessing"] | {"foreground": "brain"}
    assert said["image_size"] == params.values["data"]["image_size"]
    assert params.values["data"]["preprocessing"]["foreground"] == "none"
