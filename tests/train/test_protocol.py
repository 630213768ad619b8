"""The 2×5 protocol: balanced, reproducible, and no group on two sides."""

import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.datasets.case import BadDatasetError, Case
from train.protocol import SplitConfig, divide, fold_of, ungrouped
from train.whole_groups import BadSplitError, GroupCounts

SPLITS = {"train", "validation", "test"}


def _config(*, fold=0, half=0, seed=1, abnormals="halves", scheme="folds", groups=(0, 0, 0)):
    train, validation, test = groups
    return SplitConfig(
        seed=seed,
        scheme=scheme,
        normal_folds=5,
        fold=fold,
        groups=GroupCounts(train=train, validation=validation, test=test),
        abnormals=abnormals,
        half=half,
    )


def _case(name, *, normal, group=None):
    return Case(scan=Path(name), group=group or name, normal=normal, mask=None)


HUNDRED_EACH = [_case(f"{label}{at}", normal=label == "n") for label in "na" for at in range(100)]


def test_a_hundred_of_each_divide_as_the_study_says():
    counts = Counter((it.split, it.case.normal) for it in divide(HUNDRED_EACH, _config()))
    assert counts == {
        ("train", True): 60,
        ("validation", True): 20,
        ("test", True): 20,
        ("validation", False): 50,
        ("test", False): 50,
    }


def test_with_abnormals_in_folds_both_kinds_divide_60_20_20():
    divided = divide(HUNDRED_EACH, _config(abnormals="folds"))
    counts = Counter((it.split, it.case.normal) for it in divided)
    of_each = {"train": 60, "validation": 20, "test": 20}
    assert counts == {(it, normal): of_each[it] for it in of_each for normal in (True, False)}


def test_normals_divide_alike_wherever_the_abnormals_go():
    halves, folds = (
        [it for it in divide(HUNDRED_EACH, _config(abnormals=how)) if it.case.normal]
        for how in ("halves", "folds")
    )
    assert halves == folds


def test_neither_file_order_nor_a_second_run_changes_the_division():
    shuffled = random.Random(0).sample(HUNDRED_EACH, len(HUNDRED_EACH))
    assert divide(shuffled, _config()) == divide(HUNDRED_EACH, _config())


def test_another_seed_divides_otherwise():
    assert divide(HUNDRED_EACH, _config(seed=2)) != divide(HUNDRED_EACH, _config(seed=1))


def test_all_folds_and_halves_together_test_every_case():
    tested = Counter(
        it.case.scan
        for fold in range(5)
        for half in range(2)
        for it in divide(HUNDRED_EACH, _config(fold=fold, half=half))
        if it.split == "test"
    )
    assert {tested[case.scan] for case in HUNDRED_EACH if case.normal} == {2}
    assert {tested[case.scan] for case in HUNDRED_EACH if not case.normal} == {5}


def test_the_halves_swap():
    first, second = (
        {it.case.scan: it.split for it in divide(HUNDRED_EACH, _config(half=half))}
        for half in (0, 1)
    )
    swapped = {"validation": "test", "test": "validation"}
    for case in HUNDRED_EACH:
        if not case.normal:
            assert second[case.scan] == swapped[first[case.scan]]


cases_of_groups = st.lists(
    st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=60
).map(
    lambda drawn: [
        _case(f"scan{at}", normal=normal, group=f"patient{group}")
        for at, (group, normal) in enumerate(drawn)
    ]
)


@given(
    cases_of_groups,
    st.integers(0, 4),
    st.integers(0, 1),
    st.integers(0, 100),
    st.sampled_from(["halves", "folds"]),
)
def test_no_group_is_on_two_sides(cases, fold, half, seed, abnormals):
    sides = defaultdict(set)
    for it in divide(cases, _config(fold=fold, half=half, seed=seed, abnormals=abnormals)):
        sides[it.case.group].add(it.split)
    assert all(len(splits) == 1 for splits in sides.values())


@given(cases_of_groups, st.integers(0, 4), st.integers(0, 1))
def test_nothing_of_an_abnormal_patient_is_trained_on(cases, fold, half):
    abnormal = {case.group for case in cases if not case.normal}
    trained = {
        it.case.group for it in divide(cases, _config(fold=fold, half=half)) if it.split == "train"
    }
    assert not trained & abnormal


@given(cases_of_groups)
def test_every_case_is_in_exactly_one_split(cases):
    divided = divide(cases, _config())
    assert sorted(it.case.scan for it in divided) == sorted(case.scan for case in cases)
    assert {it.split for it in divided} <= SPLITS


def test_large_groups_are_balanced_by_cases_not_by_groups():
    sizes = [40, 10, 10, 10, 10, 5, 5, 5, 5]
    cases = [
        _case(f"{group}-{at}", normal=False, group=str(group))
        for group, size in enumerate(sizes)
        for at in range(size)
    ]
    counts = Counter(it.split for it in divide(cases, _config()))
    assert counts == {"validation": 50, "test": 50}


@pytest.mark.parametrize(
    "wrong", [{"fold": 5}, {"fold": -1}, {"half": 2}, {"normal_folds": 2}], ids=str
)
def test_a_division_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(_config(), **wrong)


@given(cases_of_groups, st.integers(0, 4))
def test_what_a_half_tests_never_validates_its_choices(cases, fold):
    cut = fold_of(cases, _config(), fold)
    trained = {case.scan for case in cut.train}
    for half in cut.halves:
        tested = {case.scan for case in half.test}
        assert not tested & {case.scan for case in half.validation}
        assert not tested & {case.scan for case in cut.blind}
        assert not tested & trained


@given(cases_of_groups, st.integers(0, 4))
def test_blind_choices_see_normals_only(cases, fold):
    assert all(case.normal for case in fold_of(cases, _config(), fold).blind)


def test_both_halves_share_a_fit_and_swap_the_abnormals():
    cut = fold_of(HUNDRED_EACH, _config(), 2)
    first, second = cut.halves
    ill = [{it.scan for it in cases if not it.normal} for cases in (first.validation, second.test)]
    assert ill[0] == ill[1]
    assert (len(cut.train), len(cut.blind), len(cut.validation)) == (60, 20, 120)


def test_ungrouped_scans_are_groups_of_their_own():
    pair = [_case("a.png", normal=True, group="g"), _case("b.png", normal=True, group="g")]
    assert len({case.group for case in ungrouped(pair)}) == 2


CHILDREN = [
    _case(f"{child:02}-{visit}", normal=True, group=f"child{child:02}")
    for child in range(45)
    for visit in range(1 + child % 3)
]


def test_numbers_of_groups_are_kept_whatever_scans_each_has():
    divided = divide(CHILDREN, _config(scheme="groups", groups=(30, 6, 9), abnormals="folds"))
    sides = {it.case.group: it.split for it in divided}
    assert all(sides[it.case.group] == it.split for it in divided)
    assert Counter(sides.values()) == {"train": 30, "validation": 6, "test": 9}


def test_numbers_of_groups_fall_otherwise_with_another_seed_and_alike_in_any_order():
    first, second = (
        divide(CHILDREN, _config(scheme="groups", groups=(30, 6, 9), seed=seed)) for seed in (1, 2)
    )
    assert first != second
    assert first == divide(CHILDREN[::-1], _config(scheme="groups", groups=(30, 6, 9)))


@pytest.mark.parametrize("groups", [(30, 6, 8), (30, 6, 10)])
def test_numbers_that_do_not_add_up_to_the_groups_are_refused(groups):
    with pytest.raises(BadSplitError, match="the data has 45 to divide"):
        divide(CHILDREN, _config(scheme="groups", groups=groups))


def test_beside_numbers_of_normal_groups_abnormal_ones_can_be_halved():
    ill = [_case(f"ill{at}", normal=False) for at in range(10)]
    config = _config(scheme="groups", groups=(30, 6, 9))
    sides = {it.case.group: it.split for it in divide([*CHILDREN, *ill], config)}
    found = Counter((split, group.startswith("ill")) for group, split in sides.items())
    assert found[("validation", True)] == found[("test", True)] == 5
    assert (found[("train", False)], found[("train", True)]) == (30, 0)


def test_or_dealt_together_with_them():
    ill = [_case(f"ill{at}", normal=False) for at in range(10)]
    config = _config(scheme="groups", groups=(35, 10, 10), abnormals="folds")
    sides = {it.case.group: it.split for it in divide([*CHILDREN, *ill], config)}
    assert Counter(sides.values()) == {"train": 35, "validation": 10, "test": 10}


PATIENTS = [
    _case(f"{patient}{scan}", normal=False, group=patient)
    for patient in "fabdce"
    for scan in (1, 2)
]


def _left_out(fold, validation=1):
    config = _config(
        scheme="leave_one_out", fold=fold, groups=(0, validation, 0), abnormals="folds"
    )
    return {it.case.group: it.split for it in divide(PATIENTS, config)}


def test_left_out_one_at_a_time_each_group_is_tested_once_and_validates_once():
    folds = [_left_out(fold) for fold in range(6)]
    for split in ("test", "validation"):
        by_fold = [[group for group, side in sides.items() if side == split] for sides in folds]
        assert sorted(by_fold) == [[group] for group in "abcdef"]
    assert all(list(sides.values()).count("train") == 4 for sides in folds)


def test_the_fold_is_the_group_s_place_in_the_order_of_names_and_the_next_ones_validate():
    sides = _left_out(4, validation=2)
    assert sides == dict.fromkeys("bcd", "train") | {"e": "test"} | dict.fromkeys(
        "fa", "validation"
    )


@pytest.mark.parametrize(
    ("fold", "validation", "complaint"), [(6, 1, "6 groups"), (0, 5, "none is left to train")]
)
def test_leaving_out_more_than_there_is_is_refused(fold, validation, complaint):
    with pytest.raises(BadSplitError, match=complaint):
        _left_out(fold, validation)


def test_leaving_one_out_asks_for_validation_and_for_no_halves():
    for wrong in ({"abnormals": "halves"}, {"groups": (0, 0, 0)}):
        numbers = {"scheme": "leave_one_out", "groups": (0, 1, 0), "abnormals": "folds"} | wrong
        with pytest.raises(ValueError, match="leave_one_out needs"):
            _config(**numbers)


def test_what_the_dataset_says_of_its_sides_is_followed():
    cases = [
        replace(_case(f"{at}", normal=True), split=split)
        for at, split in enumerate(("train", "test", "validation", "train"))
    ]
    divided = divide(cases, _config(scheme="given"))
    assert [it.split for it in divided] == ["train", "test", "validation", "train"]


def test_a_dataset_that_says_nothing_or_divides_a_patient_is_refused():
    with pytest.raises(BadDatasetError, match="does not say on which side"):
        divide(CHILDREN, _config(scheme="given"))
    torn = [replace(CHILDREN[1], split="train"), replace(CHILDREN[2], split="test")]
    with pytest.raises(BadDatasetError, match="divides group child01"):
        divide(torn, _config(scheme="given"))
