import pytest

from infer.errors import UnknownChoiceError
from train.params import load
from train.recipes import RECIPES, find
from train.scores import ScoreRecipe


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UnknownChoiceError, match="'gpt' is unknown") as refusal:
        find("gpt")
    assert "cae, fanogan" in refusal.value.hint


def test_every_method_of_the_default_study_has_a_recipe_and_all_its_numbers():
    params = load("params.yaml")
    assert {*params.names("fit")} <= RECIPES.keys()
    for method in params.names("fit"):
        assert params.block(find(method).config, "fit", method).records > 0


def test_the_score_recipes_of_the_default_study_can_be_built():
    assert "mean_square" in load("params.yaml").blocks(ScoreRecipe, "scores")
