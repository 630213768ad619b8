"""The block `patches`: which methods take them, and what is refused before a fit begins."""

import json
from pathlib import Path

import pytest

from export.fold_job import FoldJob, fingerprint_of
from export.params_check import check
from infer.errors import UadError
from infer.patches import Patches
from train.fitting import task_of
from train.params import BadParamsError, Params, load
from train.patchwise import patches_of

ROOT = Path(__file__).parents[2]
CUT = {"size": [16, 16], "stride": [8, 8], "top_share": 0.1}


def params_of(patches, **blocks):
    """The default study's numbers, some blocks changed."""
    values = dict(load(ROOT / "params.yaml").values)
    values["patches"] = patches
    for name, block in blocks.items():
        values[name] = {**values[name], **block}
    return Params("params.yaml", values)


# As in the file, but for one recipe that a method of patches cannot follow.
BLIND = {**params_of({}).values["crossval"]["blind_scores"], "cae": "standardised_5x5_bright"}

WITH_ATLAS = {**params_of({}).values["fit"]["fpi"], "atlas": True}


def fingerprint(params, name="cae"):
    job = FoldJob(name=name, method=name, members=(), pool="", grouped=False, fold=0, parent_run="")
    return fingerprint_of(params, job, "hash")


def test_a_method_that_is_not_named_takes_whole_images():
    assert patches_of(params_of({"cae": CUT}), "fanogan") is None
    assert patches_of(params_of({"cae": CUT}), "cae") == Patches(
        size=(16, 16), stride=(8, 8), top_share=0.1
    )


def test_variants_take_the_patches_of_the_method_they_share_networks_with():
    params = params_of({"fanogan": CUT})
    assert patches_of(params, "fanogan-izi") == patches_of(params, "fanogan")
    with pytest.raises(BadParamsError, match="variant of fanogan"):
        check(params_of({"fanogan-izi": CUT}))


def test_a_fold_and_a_fit_have_another_name_only_where_they_see_patches():
    whole, patched = params_of({}), params_of({"cae": CUT})
    assert fingerprint(whole) != fingerprint(patched)
    assert fingerprint(whole, "ssae") == fingerprint(patched, "ssae")
    fits = {
        (name, kind): task_of(params, name, "hash", {}).fingerprint
        for kind, params in {"whole": whole, "patched": patched}.items()
        for name in ("cae", "ssae")
    }
    assert fits["cae", "whole"] != fits["cae", "patched"]
    assert fits["ssae", "whole"] == fits["ssae", "patched"]


def test_the_name_of_a_fit_of_whole_images_does_not_speak_of_patches(monkeypatch):
    said = []
    monkeypatch.setattr(json, "dumps", lambda it, **options: said.append(it) or "")
    assert task_of(params_of({}), "cae", "hash", {}).fingerprint
    assert fingerprint(params_of({}))
    assert len(said) == 2
    assert not [it for it in said if "patches" in it]


@pytest.mark.parametrize(
    ("params", "why"),
    [
        (params_of({"gpt": CUT}), "there is no block fit.gpt"),
        (params_of({"cae": {**CUT, "size": [64, 16]}}), "do not fit into images of"),
        (params_of({"cae": {**CUT, "stride": [8, 20]}}), "stride must be at least 1"),
        (params_of({"cae": {**CUT, "strides": [8, 8]}}), "patches.cae.strides is unknown"),
        (params_of({"densenet": CUT}), "a label says nothing of a single patch"),
        (params_of({"fpi": CUT}, fit={"fpi": WITH_ATLAS}), "fpi asks what is usual at each place"),
        (params_of({"neighbours": CUT}), "neighbours asks what is usual at each place"),
        (
            params_of({"cae": CUT}, ensembles={"both": {"members": ["cae", "fanogan"]}}),
            "ensembles.both names 'cae', which takes patches",
        ),
        (
            params_of({"cae": CUT}, crossval={"ensembles": {"both": ["cae", "fanogan"]}}),
            "crossval.ensembles.both names 'cae', which takes patches",
        ),
        (
            params_of({"cae": CUT}, crossval={"blind_scores": BLIND}),
            "compares with healthy images",
        ),
    ],
)
def test_what_could_not_be_fitted_or_scored_is_refused_before(params, why):
    with pytest.raises(UadError, match=why):
        check(params)


def test_recipes_that_standardise_by_pixel_are_not_enough():
    params = params_of({"cae": CUT})
    recipes = params.values["scores"]
    params.values["scores"] = {
        name: it for name, it in recipes.items() if name.startswith("standardised")
    }
    with pytest.raises(BadParamsError, match="every recipe of scores standardises"):
        check(params)


def test_patches_that_agree_with_the_rest_are_in_order():
    check(params_of({"cae": CUT, "fanogan": CUT}))
