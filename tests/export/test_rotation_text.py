"""A study in which each group is tested once: what is said of tests made by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from export import rotation_text
from tests.export.group_tests import both_of, group_test
from train.data import ImageRow


def rows(*places):
    """Stored slices: where in the stack each lies, and whether it is normal."""
    return [
        ImageRow(scan=Path("a.nii.gz"), slice=at, split="train", normal=normal, position=position)
        for at, (position, normal) in enumerate(places)
    ]


def test_means_and_deviations_are_those_of_the_groups():
    text = rotation_text.to_markdown(both_of((0.6, 0.8), (0.5, 0.5)), [], {}, study="s", groups=2)
    (line,) = [it for it in text.splitlines() if it.startswith("| **vae**")]
    assert "| 2 of 2 | 0.700 ± 0.141 | 12 |" in line


def test_a_study_that_is_not_finished_says_so_and_of_how_many_groups_its_means_are():
    tests = both_of((0.6, 0.8), (0.5, 0.5))
    odd = replace(tests[1], metrics={**tests[1].metrics, "voxel_ap": 0.25}, fit_seconds=100.0)
    text = rotation_text.to_markdown([tests[0], odd, *tests[2:]], [], {}, study="s", groups=4)
    assert "each of 4 groups" in text
    assert "**Not finished**: of 4 groups, tested are vae 2, intensity_threshold 2." in text
    (line,) = [it for it in text.splitlines() if it.startswith("| **vae**")]
    assert "| 2 of 4 |" in line
    assert "0.250 (of 1)" in line
    assert line.endswith("| 56 |")  # the mean of 12 and 100 s


def test_figures_of_all_groups_together_stand_beside_their_means():
    pooled = {"vae": {"pooled_voxel_ap": 0.75}, "intensity_threshold": {}}
    text = rotation_text.to_markdown(
        both_of((0.6, 0.8), (0.5, 0.5)), [], pooled, study="s", groups=2
    )
    head, line = (
        next(it for it in text.splitlines() if it.startswith(begin))
        for begin in ("| method", "| **vae**")
    )
    assert "| Dice | pooled AP | fit seconds |" in head
    assert "| 0.700 ± 0.141 | 0.750 | 12 |" in line


def baseline(name, **by_fold):
    """A baseline's tests: each metric's value by fold."""
    folds = range(len(by_fold["dice"]))
    return [
        group_test(name, fold, trivial=True, **{it: by_fold[it][fold] for it in by_fold})
        for fold in folds
    ]


def model(*dice):
    return [group_test("vae", fold, it) for fold, it in enumerate(dice)]


def test_a_model_ahead_of_the_threshold_is_said_with_how_many_groups():
    (said,) = rotation_text.verdicts(both_of((0.6, 0.8), (0.7, 0.5)))
    assert said == (
        "vae finds more than a threshold on intensity does at its best: Dice 0.700 as shipped "
        "instead of 0.600 (as shipped), better in 1 of 2 groups."
    )


def test_a_model_that_a_threshold_beats_is_called_that():
    (said,) = rotation_text.verdicts(both_of((0.4, 0.5), (0.5, 0.6)))
    assert said.startswith(
        "**At its best a threshold on intensity does better than vae: Dice 0.450 as shipped"
    )


def test_nobody_is_ahead_of_an_equal():
    (said,) = rotation_text.verdicts(both_of((0.5, 0.75), (0.75, 0.5)))
    assert said.startswith("**At its best a threshold on intensity does as well as vae:")


@pytest.mark.parametrize(
    ("best", "words"),
    [
        ("dice", "as shipped"),
        ("dice_at_1_percent", "1 % of normal voxels above it"),
        ("dice_at_5_percent", "5 % of normal voxels above it"),
    ],
)
def test_the_threshold_is_compared_at_whichever_rate_suits_it_best(best, words):
    rates = dict.fromkeys(("dice", "dice_at_1_percent", "dice_at_5_percent"), (0.1, 0.3))
    tests = [*model(0.5, 0.5), *baseline("intensity_threshold", **rates | {best: (0.4, 0.8)})]
    (said,) = rotation_text.verdicts(tests)
    assert f"0.500 as shipped instead of 0.600 ({words}), better in 1 of 2 groups" in said
    assert "does better than vae" in said


def test_the_best_rate_is_one_for_all_groups_and_not_each_groups_own():
    tests = [
        *model(0.5, 0.5),
        *baseline("intensity_threshold", dice=(0.9, 0.0), dice_at_1_percent=(0.0, 0.8)),
    ]
    (said,) = rotation_text.verdicts(tests)
    assert "instead of 0.450 (as shipped)" in said


def test_a_rate_that_is_not_known_of_all_groups_is_not_the_best():
    tests = [
        *model(0.5, 0.5),
        *baseline("intensity_threshold", dice=(0.4,), dice_at_1_percent=(0.9,)),
        group_test("intensity_threshold", 1, 0.2, trivial=True),
    ]
    (said,) = rotation_text.verdicts(tests)
    assert "instead of 0.300 (as shipped), better in 2 of 2 groups" in said


def test_a_model_is_taken_as_it_ships_however_good_its_other_rates_are():
    tests = [group_test("vae", fold, 0.5, dice_at_1_percent=0.9) for fold in (0, 1)]
    (said,) = rotation_text.verdicts([*tests, *baseline("intensity_threshold", dice=(0.6, 0.6))])
    assert "Dice 0.500 as shipped instead of 0.600" in said


def test_groups_of_one_and_not_of_the_other_are_not_compared():
    tests = both_of((0.6, 0.8), (0.7,))
    (said,) = rotation_text.verdicts(tests)
    assert "Dice 0.600 as shipped instead of 0.700 (as shipped), better in 0 of 1 groups" in said


def test_what_a_map_of_noise_reaches_by_postprocessing_alone_is_said():
    tests = baseline("random", dice=(0.2, 0.4), dice_at_1_percent=(0.5, 0.7))
    (said,) = rotation_text.random_in_words(tests)
    assert said == (
        "A map drawn at random has, by the same postprocessing, Dice 0.300 as shipped, at its best "
        "0.600 (1 % of normal voxels above it): every Dice is to be read beside that."
    )
    assert said in rotation_text.to_markdown(
        [*model(0.5, 0.5), *tests], [], {}, study="s", groups=2
    )


def test_noise_that_was_not_tested_is_not_spoken_of():
    assert rotation_text.random_in_words(both_of((0.6,), (0.7,))) == []


def test_lesions_in_the_middle_of_the_stack_are_told_by_place_alone():
    (said,) = rotation_text.position_in_words(
        rows((0.1, True), (0.2, True), (0.4, False), (0.6, False), (0.9, True))
    )
    assert "AUROC of 1.000" in said
    assert rotation_text.position_in_words(rows((0.1, True), (0.5, True))) == []
