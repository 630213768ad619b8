"""Each keeper by its own rule: against a sequence of looks made by hand."""

import math

import numpy as np
import pytest
import torch

from train.keeper import Keeper
from train.scores import Scorer, ScoreRecipe
from train.validation import Validation

SCORER = Scorer(
    ScoreRecipe(
        polarity="absolute",
        denoising_px=1,
        standardised=True,
        smoothing_px=1,
        power=1,
        top_share=1.0,
        parts={},
        typicality="none",
    ),
    {"mean": torch.zeros(1, 1, 4, 4), "spread": torch.ones(1, 1, 4, 4)},
)
RECIPES = ("plain", "smooth")
# Looks at (loss, AUROC under each of two recipes), record by record.
LOOKS = [
    (0.9, {"plain": 0.60, "smooth": 0.70}),
    (0.5, {"plain": 0.90, "smooth": 0.80}),
    (0.4, {"plain": 0.65, "smooth": 0.90}),
    (0.2, {"plain": 0.70, "smooth": 0.70}),
    (0.3, {"plain": 0.75, "smooth": 0.60}),
]


def keeper(rule, score=""):
    return Keeper(name="k", rule=rule, score=score, rows=np.arange(4))


def shown(keeper, looks, first=0):
    for record, (loss, auroc) in enumerate(looks, start=first):
        seen = Validation(
            loss=loss,
            scores=dict.fromkeys(RECIPES, np.zeros(4, np.float32)),
            compares=True,
            auroc=auroc,
            scorers=dict.fromkeys(RECIPES, SCORER),
        )
        keeper.look(seen, {"weight": torch.tensor(float(record))}, record)
    return keeper.kept


@pytest.mark.parametrize(
    ("rule", "record", "score"),
    [("auroc", 2, "smooth"), ("loss", 3, "plain"), ("last", 4, "plain")],
)
def test_a_rule_keeps_its_own_look_and_the_recipe_best_there(rule, record, score):
    kept = shown(keeper(rule), LOOKS)
    assert (kept.record, kept.score, kept.weights["weight"]) == (record, score, record)
    assert kept.auroc == LOOKS[record][1][score]


def test_of_equal_areas_the_lower_loss_decides():
    kept = shown(keeper("auroc"), [LOOKS[2], LOOKS[1]])
    assert kept.loss == 0.4


def test_a_recipe_that_is_given_is_kept_to():
    kept = shown(keeper("auroc", score="plain"), LOOKS)
    assert (kept.record, kept.score) == (1, "plain")


def test_without_abnormal_images_the_lowest_loss_and_the_first_recipe_are_kept():
    looks = [(loss, {}) for loss, _ in LOOKS]
    blind = keeper("auroc")
    for record, (loss, auroc) in enumerate(looks):
        scores = {"plain": np.zeros(4, np.float32), "smooth": np.zeros(4, np.float32)}
        blind.look(
            Validation(
                loss=loss,
                scores=scores,
                compares=False,
                auroc=auroc,
                scorers=dict.fromkeys(scores, SCORER),
            ),
            {},
            record,
        )
    assert (blind.kept.record, blind.kept.score, blind.kept.auroc) == (3, "plain", None)


def test_a_look_without_a_finite_score_takes_no_other_s_place_whatever_its_loss():
    kept = shown(keeper("auroc"), [LOOKS[0], (-50.0, {})])
    assert (kept.record, kept.auroc) == (0, 0.70)


@pytest.mark.parametrize("rule", ["auroc", "loss", "last"])
def test_what_has_diverged_is_never_kept(rule):
    nowhere = (math.nan, {})  # no recipe has a finite score
    diverging = [nowhere, *LOOKS, nowhere, (math.inf, {"plain": 0.99, "smooth": 0.99})]
    best = {"auroc": 3, "loss": 4, "last": 5}
    kept = keeper(rule)
    for record, (loss, auroc) in enumerate(diverging):
        scores = dict.fromkeys(("plain", "smooth"), np.zeros(4, np.float32))
        seen = Validation(
            loss=loss,
            scores=scores,
            compares=True,
            auroc=auroc,
            scorers=dict.fromkeys(scores, SCORER),
        )
        kept.look(seen, {}, record)
        assert (kept.kept is None) == (record == 0)
    assert kept.kept.record == best[rule]


@pytest.mark.parametrize("rule", ["auroc", "loss", "last"])
def test_a_keeper_put_aside_and_brought_back_keeps_what_an_uninterrupted_one_keeps(rule):
    first, second = keeper(rule), keeper(rule)
    shown(first, LOOKS[:3])
    second.resume(first.put_aside())
    kept = shown(second, LOOKS[3:], first=3)
    assert kept == shown(keeper(rule), LOOKS)


def test_nothing_kept_is_put_aside_as_nothing():
    again = keeper("last")
    again.resume(keeper("last").put_aside())
    assert again.kept is None
