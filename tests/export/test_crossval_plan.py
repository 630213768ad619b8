"""What a cross validation has to run, planned from numbers alone."""

import re
from dataclasses import replace

import numpy as np
import pytest

from export import crossval_plan, fold_result
from export.fold_job import checkpoint_of, fingerprint_of, note_of
from tests.export import fold_results
from train.params import BadParamsError, Params, load
from train.pool import Pool
from train.protocol import CrossvalConfig
from train.stored_images import StoredImages

IMAGES = StoredImages(np.zeros((1, 1, 32, 32), np.float32), np.arange(1))
POOL = Pool(cases=[], rows=[], images=IMAGES, hash="images")


@pytest.fixture
def params():
    """A method, a variant that shares its networks, and an ensemble of the variant and another."""
    values = dict(load("params.yaml").values)
    values["crossval"] = {
        **values["crossval"],
        "methods": ["cae", "fanogan", "fanogan-izi"],
        "protocols": ["blind"],
        "grouped": [False],
        "ensembles": {"both": ["cae", "fanogan-izi"]},
    }
    return Params("params.yaml", values)


@pytest.fixture
def planned(params):
    config = params.block(CrossvalConfig, "crossval")
    return list(crossval_plan.plan(params, config, POOL, stored="p", methods=(), ablations=()))


@pytest.fixture
def missing(planned, tmp_path):
    """The rows that are run, where all are done but those named and some checkpoints are there.

    Those of `other` numbers are there too, under the same names.
    """

    def missing(rows, checkpoints=(), other=()):
        folds, models = tmp_path / "folds", tmp_path / "models"
        for it in planned:
            if it.job.name not in rows:
                result = fold_results.fold(method=it.job.name, number=it.job.fold, tests=[])
                result = replace(result, fingerprint=it.fingerprint)
                fold_result.save(it.path(folds), result)
            if it.job.name in (*checkpoints, *other):
                place, fits = models / it.job.place, it.fingerprint
                place.mkdir(parents=True, exist_ok=True)
                checkpoint_of(place, it.job.name, "blind").touch()
                note_of(place, it.job.name).write_text("another" if it.job.name in other else fits)
        found = crossval_plan.missing_of(planned, folds, models, source=None)
        return list(dict.fromkeys(it.job.name for it in found))

    return missing


def test_numbers_of_an_ablation_are_laid_over_the_studys(params):
    laid_over = params.with_blocks({"augment": {"translation": 0.0}}, where="an ablation")
    assert laid_over.values["augment"]["translation"] == 0.0
    assert laid_over.values["augment"]["scale"] == params.values["augment"]["scale"]


@pytest.fixture
def ablated(params, monkeypatch):
    """The rows of a method and of its ablations, by name; other numbers give other images."""
    made = {}

    def make_pool(own, stored):
        made[stored] = own.values["data"]
        return replace(POOL, hash=f"images of {stored}")

    def ablated(**ablations):
        params.values["crossval"] |= {"ablations": ablations}
        config = params.block(CrossvalConfig, "crossval")
        rows = crossval_plan.plan(
            params, config, POOL, stored="p", methods=("cae",), ablations=tuple(ablations)
        )
        return {it.job.name: it for it in rows if it.job.method}, made

    monkeypatch.setattr(crossval_plan, "make_pool", make_pool)
    return ablated


def test_an_ablation_is_run_with_its_own_numbers_and_the_method_with_the_studys(ablated, params):
    rows, made = ablated(no_affine={"augment": {"translation": 0.0}})
    plain, own = rows["cae"], rows["cae+no_affine"]
    assert rows.keys() == {"cae", "cae+no_affine"}
    assert own.params.values["augment"] == {**params.values["augment"], "translation": 0.0}
    assert plain.params.values["augment"]["translation"] == 0.02
    assert own.fingerprint != plain.fingerprint
    assert (plain.job.pool, own.job.pool, made) == ("p", "p", {})


def test_an_ablation_that_changes_the_data_gets_a_pool_of_its_own(ablated):
    rows, made = ablated(pixels_128={"data": {"image_size": [128, 128]}})
    plain, own = rows["cae"], rows["cae+pixels_128"]
    assert (plain.job.pool, own.job.pool) == ("p", "p.pixels_128")
    assert {name: data["image_size"] for name, data in made.items()} == {"p.pixels_128": [128, 128]}
    assert own.params.values["data"]["image_size"] == [128, 128]
    assert plain.params.values["data"]["image_size"] == [32, 32]


def test_results_on_the_images_of_an_ablation_are_told_apart_by_those_images(ablated, params):
    """Even where its numbers are the study's own."""
    rows, _ = ablated(same={"data": dict(params.values["data"])})
    own = rows["cae+same"]
    job = replace(own.job, name="cae")
    assert fingerprint_of(own.params, job, POOL.hash) == rows["cae"].fingerprint
    assert fingerprint_of(own.params, own.job, POOL.hash) != own.fingerprint


def test_what_relies_on_others_is_run_after_them(planned):
    waves = {it.job.name: it.wave for it in planned}
    assert waves["fanogan"] < waves["fanogan-izi"] < waves["both"]


def test_one_grouping_is_done_before_the_next_begins(params):
    params.values["crossval"] |= {"grouped": [False, True]}
    config = params.block(CrossvalConfig, "crossval")
    planned = list(crossval_plan.plan(params, config, POOL, stored="p", methods=(), ablations=()))
    last = max(it.wave for it in planned if not it.job.grouped)
    assert last < min(it.wave for it in planned if it.job.grouped)


def test_nothing_is_run_where_all_is_done(missing):
    assert missing([]) == []


def test_members_are_fitted_again_where_their_checkpoints_are_gone(missing):
    """And what a member shares networks with, which is no member."""
    assert missing(["both"]) == ["cae", "fanogan", "fanogan-izi", "both"]


def test_members_whose_checkpoints_are_there_are_not(missing):
    assert missing(["both"], checkpoints=["cae", "fanogan-izi"]) == ["both"]


def test_members_whose_checkpoints_are_of_other_numbers_are_fitted_again(missing):
    found = missing(["both"], checkpoints=["fanogan-izi"], other=["cae"])
    assert found == ["cae", "both"]


def test_an_ablated_variant_shares_the_networks_of_the_ablated_method(params, tmp_path):
    params.values["crossval"] |= {"ablations": {"still": {"augment": {"translation": 0.0}}}}
    config = params.block(CrossvalConfig, "crossval")
    planned = [
        it
        for it in crossval_plan.plan(
            params, config, POOL, stored="p", methods=("fanogan-izi",), ablations=("still",)
        )
        if it.job.fold == 0 and it.job.method
    ]
    for it in planned:  # all done but the ablated variant
        if it.job.name != "fanogan-izi+still":
            result = fold_results.fold(method=it.job.name, number=0, tests=[])
            fold_result.save(it.path(tmp_path), replace(result, fingerprint=it.fingerprint))
    found = crossval_plan.missing_of(planned, tmp_path, tmp_path / "models", source=None)
    assert [it.job.name for it in found] == ["fanogan+still", "fanogan-izi+still"]
    assert found[0].wave < found[1].wave


def test_a_variant_alone_needs_the_method_it_shares_networks_with(missing):
    assert missing(["fanogan-izi"], checkpoints=["cae"]) == ["fanogan", "fanogan-izi"]
    assert missing(["fanogan-izi"], checkpoints=["fanogan"]) == ["fanogan-izi"]


def test_a_study_that_is_not_divided_into_folds_is_not_cross_validated(params):
    split = {**params.values["split"], "scheme": "groups"}
    other = Params("params.yaml", {**params.values, "split": split})
    config = other.block(CrossvalConfig, "crossval")
    with pytest.raises(BadParamsError, match=r"split\.scheme is groups"):
        list(crossval_plan.plan(other, config, POOL, stored="p", methods=(), ablations=()))


def test_a_variant_that_is_asked_for_alone_brings_the_method_it_shares_networks_with(params):
    config = params.block(CrossvalConfig, "crossval")
    planned = crossval_plan.plan(
        params, config, POOL, stored="p", methods=("fanogan-izi",), ablations=()
    )
    assert {it.job.name for it in planned if it.job.method} == {"fanogan", "fanogan-izi"}


@pytest.mark.parametrize("name", ["cae", "mean_image", "both+more"])
def test_an_ensemble_may_not_be_called_as_another_row(params, name):
    values = dict(params.values)
    values["crossval"] = {**values["crossval"], "ensembles": {name: ["cae", "fanogan"]}}
    config = Params("params.yaml", values).block(CrossvalConfig, "crossval")
    with pytest.raises(BadParamsError, match=f"ensembles.{re.escape(name)} has the name of"):
        crossval_plan.check_names(params, config, methods=(), ablations=())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"methods": ["cae", "cae"]}, "methods names cae twice"),
        ({"grouped": [True, True]}, "grouped names True twice"),
        ({"protocols": ["study", "study"]}, "protocols names study twice"),
        ({"ensembles": {"both": []}}, "ensembles.both is empty"),
        ({"ensembles": {"both": ["cae", "cae"]}}, "ensembles.both names cae twice"),
    ],
)
def test_what_would_be_counted_twice_or_is_nothing_is_refused(params, changes, words):
    values = {**params.values, "crossval": {**params.values["crossval"], **changes}}
    with pytest.raises(BadParamsError, match=words):
        Params("params.yaml", values).block(CrossvalConfig, "crossval")


def test_a_variant_without_the_method_it_shares_networks_with_is_refused_in_words(params):
    values = dict(params.values)
    values["crossval"] = {**values["crossval"], "methods": ["cae", "fanogan-izi"]}
    alone = Params("params.yaml", values)
    config = alone.block(CrossvalConfig, "crossval")
    with pytest.raises(BadParamsError, match="takes over networks of fanogan, but not fanogan"):
        crossval_plan.check_names(alone, config, methods=(), ablations=())
