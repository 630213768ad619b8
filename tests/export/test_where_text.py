"""What the comparison says of where, in words."""

from export.ablation import StepRow
from export.where_text import OF_KINDS, parts_section, steps_section, where_section

COUNTS = {"scans_measured": 9, "scans_not_measured": 0, "lesions": 4, "groups_with_lesions": 3}


def section(**dice):
    rows = {
        name: {"voxel_ap": 0.5, "dice": it, "dice_mean": it, "dice_std": 0.1, **COUNTS}
        for name, it in dice.items()
    }
    return where_section(rows, trivial=["intensity_threshold", "random"])


def test_a_model_below_the_intensity_threshold_says_so():
    text = section(cae=0.4, intensity_threshold=0.8)
    assert "On this data a threshold on intensity does better than cae: Dice" in text
    assert "Dice 0.800 (as shipped) instead of 0.400 as shipped" in text


def test_the_threshold_counts_at_the_rate_that_suits_it_best():
    row = {"voxel_ap": 0.5, **COUNTS}
    rows = {
        "cae": row | {"dice": 0.6, "dice_at_1_percent": 0.9},
        "intensity_threshold": row | {"dice": 0.3, "dice_at_1_percent": 0.7},
    }
    text = where_section(rows, trivial=["intensity_threshold"])
    assert (
        "does better than cae: Dice 0.700 (1 % of normal voxels above it) instead of 0.600 as "
        "shipped" in text
    )


def test_a_model_above_it_does_not_and_another_baseline_does_not_count():
    assert "does better" not in section(cae=0.8, intensity_threshold=0.4, random=0.9)


def test_means_over_patients_stand_beside_what_all_voxels_give():
    assert "| **cae** | 0.500 | 0.800 (0.80 ± 0.10) |" in section(cae=0.8, intensity_threshold=0.4)


def test_scans_without_a_mask_are_said_not_to_be_measured():
    row = {"voxel_ap": 0.5, **COUNTS, "scans_not_measured": 2}
    assert "9 test scans with 4 lesions in 3 groups; 2 more are not measured" in where_section(
        {"cae": row}, trivial=[]
    )


def test_nothing_is_said_where_no_truth_is_known():
    assert where_section({"cae": COUNTS}, trivial=[]) == ""


def test_every_step_of_every_model_has_its_row_and_nothing_is_said_of_none():
    text = steps_section({"cae": [StepRow("none", 0.25, {"dice": 0.5, "voxel_ap": 0.4})]})
    assert "| cae | none | 0.25 | 0.400 | 0.500 |" in text
    assert steps_section({"cae": []}) == ""


def test_every_kind_has_a_row_and_every_model_a_column():
    rows = {
        "cae": {"swirl": {"slice_auroc": 0.9, "voxel_ap": 0.25}, "noise": {"slice_auroc": 0.5}},
        "random": {"swirl": {"slice_auroc": 0.5}},
    }
    lines = parts_section("kind", rows, OF_KINDS).splitlines()
    assert lines[0] == "## By kind"
    assert "| kind | cae | random |" in lines
    assert "| swirl | 0.900 | 0.500 |" in lines
    assert "| noise | 0.500 |  |" in lines
    assert "| swirl | 0.250 |  |" in lines


def test_nothing_is_said_of_kinds_where_there_are_none():
    assert parts_section("kind", {"cae": {}}, OF_KINDS) == ""
