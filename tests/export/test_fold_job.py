"""Who may see what, on a fold made by hand: what validates a file is never what tests it."""

from dataclasses import replace
from pathlib import Path

import pytest

from export.fold_job import FoldJob, fingerprint_of, keeper_names, validating
from tests.export.tiny_pool import numbers
from train.datasets.case import Case
from train.params import Params
from train.protocol import CrossvalConfig, Fold, Half


def case(name):
    return Case(scan=Path(f"{name}.png"), group=name, normal=name.startswith("n"), mask=None)


TRAINED, VALIDATING, TESTED = (
    [case("n1"), case("n2")],
    [case("n3"), case("n4")],
    [case("n5"), case("n6")],
)
FIRST, SECOND = [case("a1"), case("a2")], [case("a3"), case("a4")]
# Half h is tested on the h-th abnormals, so the others decide.
FOLD = Fold(
    train=TRAINED,
    halves=(
        Half(validation=VALIDATING + SECOND, test=TESTED + FIRST),
        Half(validation=VALIDATING + FIRST, test=TESTED + SECOND),
    ),
)
JOB = FoldJob(name="cae", method="cae", members=(), pool="p", grouped=False, fold=0, parent_run="")


@pytest.mark.parametrize(("keeper", "abnormals"), [("study_0", SECOND), ("study_1", FIRST)])
def test_a_keeper_sees_the_abnormals_that_it_is_not_tested_on(keeper, abnormals):
    seen = validating(FOLD, keeper)
    assert seen == VALIDATING + abnormals
    tested = FOLD.halves[int(keeper[-1])].test
    assert not {it.scan for it in seen} & {it.scan for it in tested}


def test_blind_sees_the_normals_that_validate_in_both_halves_and_no_abnormal():
    assert validating(FOLD, "blind") == VALIDATING


@pytest.mark.parametrize(
    ("protocols", "names"),
    [
        (("study",), ["study_0", "study_1"]),
        (("blind",), ["blind"]),
        (("study", "blind"), ["study_0", "study_1", "blind"]),
    ],
)
def test_each_protocol_has_its_keepers(protocols, names):
    config = numbers(protocols=list(protocols)).block(CrossvalConfig, "crossval")
    assert keeper_names(config) == names


@pytest.mark.parametrize(
    "changed",
    [{"grouped": True}, {"fold": 1}, {"name": "cae+no_affine"}, {"members": ("cae",)}],
    ids=lambda it: next(iter(it)),
)
def test_results_of_another_division_or_row_are_not_taken_for_this_one(changed):
    params = numbers()
    own, other = (fingerprint_of(params, it, "images") for it in (JOB, replace(JOB, **changed)))
    assert own != other


@pytest.mark.parametrize(
    ("block", "values"),
    [
        ("augment", {"translation": 0.5}),
        ("export", {"map_false_positive_rate": 0.2}),
        ("split", {"seed": 2}),
        ("crossval", {"blind_checkpoint": "loss"}),
        ("crossval", {"blind_scores": {"cae": "mean_square"}}),
        ("crossval", {"false_positive_rate": 0.2}),
    ],
)
def test_results_of_other_numbers_are_not_taken_for_these(block, values):
    params = numbers()
    changed = Params(params.path, {**params.values, block: {**params.values[block], **values}})
    assert fingerprint_of(params, JOB, "images") != fingerprint_of(changed, JOB, "images")


def test_the_same_fold_below_another_run_is_the_same_result():
    params = numbers()
    own, other = (
        fingerprint_of(params, it, "images") for it in (JOB, replace(JOB, parent_run="r", pool="q"))
    )
    assert own == other
    assert fingerprint_of(params, JOB, "others") != own
