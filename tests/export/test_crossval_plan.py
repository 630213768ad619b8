"""What a cross validation has to run, planned from numbers alone."""

from dataclasses import replace

import numpy as np
import pytest

from export import crossval_plan, fold_result
from export.fold_job import checkpoint_of
from tests.export import fold_results
from train.params import Params, load
from train.pool import Pool
from train.protocol import CrossvalConfig

POOL = Pool(cases=[], rows=[], images=np.zeros((1, 1, 32, 32), np.float32), hash="images")


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
    """The rows that are run, where all are done but those named and some checkpoints are there."""

    def missing(rows, checkpoints=()):
        folds, models = tmp_path / "folds", tmp_path / "models"
        for it in planned:
            if it.job.name not in rows:
                result = fold_results.fold(method=it.job.name, number=it.job.fold, tests=[])
                result = replace(result, fingerprint=it.fingerprint)
                fold_result.save(it.path(folds), result)
            for name in checkpoints:
                path = checkpoint_of(models / it.job.place, name, "blind")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        found = crossval_plan.missing_of(planned, folds, models, source=None)
        return list(dict.fromkeys(it.job.name for it in found))

    return missing


def test_numbers_of_an_ablation_are_laid_over_the_studys(params):
    laid_over = crossval_plan.with_blocks(params, {"augment": {"translation": 0.0}})
    assert laid_over.values["augment"]["translation"] == 0.0
    assert laid_over.values["augment"]["scale"] == params.values["augment"]["scale"]


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


def test_a_variant_alone_needs_the_method_it_shares_networks_with(missing):
    assert missing(["fanogan-izi"], checkpoints=["cae"]) == ["fanogan", "fanogan-izi"]
    assert missing(["fanogan-izi"], checkpoints=["fanogan"]) == ["fanogan-izi"]
