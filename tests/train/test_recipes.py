import pytest

from infer.errors import UnknownChoiceError
from train.params import load
from train.recipes import find, is_known
from train.scores import ScoreRecipe


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UnknownChoiceError, match="'gpt' is unknown") as refusal:
        find("gpt")
    assert "cae, fanogan" in refusal.value.hint


def test_a_variant_without_an_entry_is_fitted_as_its_method_is():
    assert find("fpi-plain") is find("fpi")
    assert find("fanogan-ziz") is not find("fanogan")
    assert find("fanogan-ziz-short") is find("fanogan-ziz")
    assert find("dagmm-untrained") is not find("dagmm")


@pytest.mark.parametrize("name", ["fp", "fpis", "fpi_plain", "", "-fpi"])
def test_a_name_that_only_resembles_a_method_is_unknown(name):
    assert not is_known(name)
    with pytest.raises(UnknownChoiceError, match="is unknown"):
        find(name)


def test_every_method_of_the_default_study_has_a_recipe_and_all_its_numbers():
    params = load("params.yaml")
    assert all(is_known(it) for it in params.names("fit"))
    for method in params.names("fit"):
        assert params.block(find(method).config, "fit", method).records > 0


def test_the_score_recipes_of_the_default_study_can_be_built():
    assert "mean_square" in load("params.yaml").blocks(ScoreRecipe, "scores")
