"""Results that took hours keep their names when a block gains a key that changes nothing."""

from export import rotation
from train.added_keys import CHANGES_NOTHING, without_silent
from train.params import Params, load


def test_a_later_key_is_left_out_where_it_changes_nothing_and_kept_where_it_does():
    said = {"fit": {"fpi": {"width": 8, "mirror": "none"}}, "members": ({"mirror": "rows"}, 1)}
    assert without_silent(said) == {
        "fit": {"fpi": {"width": 8}},
        "members": [{"mirror": "rows"}, 1],
    }


def test_what_is_given_stays_as_it_is():
    said = {"mirror": "none"}
    assert without_silent(said) == {}
    assert said == {"mirror": "none"}


def test_false_and_zero_are_told_from_none():
    assert without_silent({"mirror": None}) == {"mirror": None}


def with_block(params, block, **changes):
    return Params(params.path, {**params.values, block: {**params.values[block], **changes}})


def test_a_result_keeps_its_fingerprint_when_a_block_gains_a_silent_key():
    params = load("params.yaml")
    for key, silent in CHANGES_NOTHING.items():
        names = {
            rotation.fingerprint_of(with_block(params, "export", **given), "cae", "hash")
            for given in ({}, {key: silent}, {key: "loud"})
        }
        assert len(names) == 2


def test_a_later_key_of_one_method_is_left_out_of_its_own_block_alone():
    params = load("params.yaml")
    for method, same in (("fpi", True), ("cae", False)):
        fit = {**params.values["fit"]}
        fit[method] = {name: it for name, it in fit[method].items() if name != "spatial_dims"}
        without = Params(params.path, {**params.values, "fit": fit})
        names = {rotation.fingerprint_of(it, method, "hash") for it in (params, without)}
        assert (len(names) == 1) == same
