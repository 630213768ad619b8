"""A study in which each group is tested once: its folds, its table, and what is kept."""

import pytest

from export import rotation
from tests.export.group_tests import both_of, group_test
from train.params import Params, load


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


def test_a_variant_changes_with_the_method_that_it_is_laid_over():
    params = load("params.yaml")

    def with_variant(**changes):
        variant = {"of": "fanogan", "encoder_loss": "izi"}
        fanogan = {**params.values["fit"]["fanogan"], **changes}
        fit = {**params.values["fit"], "fanogan": fanogan, "fanogan-izi": variant}
        return Params(params.path, {**params.values, "fit": fit})

    for said in (rotation.fingerprint_of, rotation.fit_fingerprint_of):
        names = {said(with_variant(**it), "fanogan-izi", "h") for it in ({}, {"width": 3})}
        assert len(names) == 2


def test_the_table_is_of_every_metric_of_every_test():
    text = rotation.to_csv([group_test("vae", 1, 0.5, voxel_ap=0.25)])
    assert text.splitlines() == [
        "method,fold,group,metric,value",
        "vae,1,ben,dice,0.5",
        "vae,1,ben,voxel_ap,0.25",
    ]


def test_means_are_those_of_the_groups():
    assert rotation.means_of(both_of((0.6, 0.8), (0.5, 0.5)))["vae"]["dice"] == pytest.approx(0.7)


def test_of_one_group_its_mean_over_groups_is_not_kept():
    found = rotation.row_metrics({"dice": 0.5, "dice_mean": 0.5, "dice_std": 0.0})
    assert found == {"dice": 0.5}
