from pathlib import Path

import pytest

from export.membership import EnsembleConfig, ensembles, members_of
from train.params import BadParamsError, load

TEXT = (Path(__file__).parents[2] / "params.yaml").read_text()


@pytest.fixture
def params_with(tmp_path):
    """The default study's params with this text in place of its ensembles."""

    def write(block):
        path = tmp_path / "params.yaml"
        path.write_text(TEXT.replace("ensembles: {}", f"ensembles: {block}"))
        return load(path)

    return write


def test_a_study_without_ensembles_has_none(params_with):
    assert ensembles(params_with("{}")) == {}


def test_ensembles_come_by_name_in_the_order_of_the_file(params_with):
    params = params_with("{pair: {members: [fanogan, cae]}, alone: {members: [cae]}}")
    pair, alone = EnsembleConfig(members=("fanogan", "cae")), EnsembleConfig(members=("cae",))
    assert list(ensembles(params).items()) == [("pair", pair), ("alone", alone)]
    assert members_of(params, "pair") == ("fanogan", "cae")


def test_a_member_that_is_not_fitted_is_refused_with_a_suggestion(params_with):
    with pytest.raises(BadParamsError, match=r"ensembles\.pair names 'fangan'") as refused:
        ensembles(params_with("{pair: {members: [cae, fangan]}}"))
    assert refused.value.hint == "did you mean fanogan?"


def test_a_variant_may_be_a_member(params_with):
    params = params_with("{pair: {members: [cae, fanogan-izi]}}")
    params.values["variants"]["fanogan-izi"] = "fanogan"
    assert members_of(params, "pair") == ("cae", "fanogan-izi")


def test_an_ensemble_cannot_be_called_as_a_method(params_with):
    with pytest.raises(BadParamsError, match=r"ensembles\.cae has the name of a method"):
        ensembles(params_with("{cae: {members: [fanogan]}}"))


@pytest.mark.parametrize("name", ["both v1.0", "a/b", "all:two", "50%", "''", "-x"])
def test_what_cannot_be_a_models_name_is_refused(params_with, name):
    with pytest.raises(BadParamsError, match="after which no file and no metric can be called"):
        ensembles(params_with(f"{{{name!r}: {{members: [cae, fanogan]}}}}"))


def test_a_name_may_have_letters_of_any_alphabet(params_with):
    assert list(ensembles(params_with("{größte_2-er: {members: [cae, fanogan]}}"))) == [
        "größte_2-er"
    ]


@pytest.mark.parametrize("members", ["[]", "[cae, cae]"], ids=["nobody", "twice"])
def test_members_are_some_and_each_once(params_with, members):
    with pytest.raises(BadParamsError, match=r"ensembles\.pair: members"):
        ensembles(params_with(f"{{pair: {{members: {members}}}}}"))


def test_a_misspelt_key_is_refused(params_with):
    with pytest.raises(BadParamsError, match=r"ensembles\.pair\.member is unknown"):
        ensembles(params_with("{pair: {member: [cae]}}"))
