"""A study in which each group is tested once: its table and its words, of tests made by hand."""

from pathlib import Path

import pytest

from export import rotation
from export.rotation import GroupTest
from train.data import ImageRow
from train.params import Params, load

GROUPS = ("anna", "ben")


def group_test(name, fold, dice, *, trivial=False, **metrics):
    return GroupTest(
        name=name,
        trivial=trivial,
        fold=fold,
        group=GROUPS[fold],
        fingerprint="f",
        fit_seconds=None if trivial else 12.0,
        metrics={"dice": dice, **metrics},
        provenance={"git_commit": "c"},
    )


def both_of(model, threshold):
    """Dice of a model, and of a threshold on intensity, by fold."""
    return [
        *(group_test("vae", fold, dice) for fold, dice in enumerate(model)),
        *(
            group_test("intensity_threshold", fold, dice, trivial=True)
            for fold, dice in enumerate(threshold)
        ),
    ]


def rows(*places):
    """Stored slices: where in the stack each lies, and whether it is normal."""
    return [
        ImageRow(scan=Path("a.nii.gz"), slice=at, split="train", normal=normal, position=position)
        for at, (position, normal) in enumerate(places)
    ]


def test_a_fold_is_a_study_of_its_own_and_the_rest_of_the_numbers_are_the_same():
    params = load("params.yaml")
    own = rotation.of_fold(params, 3)
    assert own.study == "phantom_fold3"
    assert own.values["split"] == {**params.values["split"], "fold": 3}
    assert own.values["fit"] == params.values["fit"]
    assert params.study == "phantom"


def test_a_test_comes_back_as_it_was_written_and_half_of_one_is_none(tmp_path):
    path = tmp_path / "vae/fold0.json"
    test = group_test("vae", 0, 0.5, voxel_ap=0.25)
    rotation.save(path, test)
    assert rotation.load(path) == test
    path.write_bytes(path.read_bytes()[:-20])
    assert rotation.load(path) is None
    assert rotation.load(tmp_path / "none.json") is None


@pytest.mark.parametrize(
    ("block", "changes"),
    [("export", True), ("where", True), ("augment", True), ("compare", False), ("crossval", False)],
)
def test_what_changes_a_result_changes_its_fingerprint_and_nothing_else_does(block, changes):
    params = load("params.yaml")
    other = Params(params.path, {**params.values, block: {"changed": 1}})
    before, after = (rotation.fingerprint_of(it, "cae", "hash") for it in (params, other))
    assert (before != after) == changes


def test_the_numbers_of_other_methods_do_not_change_a_fingerprint():
    params = load("params.yaml")
    fit = {**params.values["fit"], "vae": {"changed": 1}}
    other = Params(params.path, {**params.values, "fit": fit})
    assert rotation.fingerprint_of(params, "cae", "h") == rotation.fingerprint_of(other, "cae", "h")
    assert rotation.fingerprint_of(params, "vae", "h") != rotation.fingerprint_of(other, "vae", "h")


def test_the_table_is_of_every_metric_of_every_test():
    text = rotation.to_csv([group_test("vae", 1, 0.5, voxel_ap=0.25)])
    assert text.splitlines() == [
        "method,fold,group,metric,value",
        "vae,1,ben,dice,0.5",
        "vae,1,ben,voxel_ap,0.25",
    ]


def test_means_and_deviations_are_those_of_the_groups():
    text = rotation.to_markdown(both_of((0.6, 0.8), (0.5, 0.5)), [], {}, study="s")
    (line,) = [it for it in text.splitlines() if it.startswith("| **vae**")]
    assert "| 2 of 2 | 0.700 ± 0.141 | 12 |" in line
    assert rotation.means_of(both_of((0.6, 0.8), (0.5, 0.5)))["vae"]["dice"] == pytest.approx(0.7)


def test_figures_of_all_groups_together_stand_beside_their_means():
    pooled = {"vae": {"pooled_voxel_ap": 0.75}, "intensity_threshold": {}}
    text = rotation.to_markdown(both_of((0.6, 0.8), (0.5, 0.5)), [], pooled, study="s")
    head, line = (
        next(it for it in text.splitlines() if it.startswith(begin))
        for begin in ("| method", "| **vae**")
    )
    assert "| Dice | pooled AP | fit seconds |" in head
    assert "| 0.700 ± 0.141 | 0.750 | 12 |" in line


def test_a_model_ahead_of_the_threshold_is_said_with_how_many_groups():
    (said,) = rotation.verdicts(both_of((0.6, 0.8), (0.7, 0.5)))
    assert said == (
        "vae finds more than a threshold on intensity does: Dice 0.700 instead of 0.600, better in "
        "1 of 2 groups."
    )


def test_a_model_that_a_threshold_beats_is_called_that():
    (said,) = rotation.verdicts(both_of((0.4, 0.5), (0.5, 0.6)))
    assert said.startswith("**A threshold on intensity does better than vae: Dice 0.450")


def test_groups_of_one_and_not_of_the_other_are_not_compared():
    tests = both_of((0.6, 0.8), (0.7,))
    (said,) = rotation.verdicts(tests)
    assert "Dice 0.600 instead of 0.700, better in 0 of 1 groups" in said


def test_lesions_in_the_middle_of_the_stack_are_told_by_place_alone():
    (said,) = rotation.position_in_words(
        rows((0.1, True), (0.2, True), (0.4, False), (0.6, False), (0.9, True))
    )
    assert "AUROC of 1.000" in said
    assert rotation.position_in_words(rows((0.1, True), (0.5, True))) == []


def test_of_one_group_its_mean_over_groups_is_not_kept():
    found = rotation.row_metrics({"dice": 0.5, "dice_mean": 0.5, "dice_std": 0.0})
    assert found == {"dice": 0.5}
