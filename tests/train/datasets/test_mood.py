from collections import Counter
from pathlib import Path

import pytest

from train.datasets.case import BadDatasetError
from train.datasets.mood import MoodOptions, mood_cases

OPTIONS = MoodOptions(train=7, validation=2)


def _cases(source, count):
    (source / "brain_train").mkdir(parents=True)
    for at in range(count):
        (source / "brain_train" / f"{at:05}.nii.gz").touch()
    return mood_cases(source, OPTIONS, Path("unused"))


def test_the_first_brains_are_fitted_to_the_next_validate_and_the_rest_is_tested(tmp_path):
    cases = _cases(tmp_path, 10)
    assert [(case.scan.name, case.split) for case in cases[4:8]] == [
        ("00004.nii.gz", "train"),
        ("00005.nii.gz", "validation"),
        ("00006.nii.gz", "validation"),
        ("00007.nii.gz", "test"),
    ]
    assert Counter(case.split for case in cases) == {"train": 5, "validation": 2, "test": 3}


def test_every_brain_is_normal_and_a_person_of_its_own(tmp_path):
    cases = _cases(tmp_path, 10)
    assert all(case.normal and case.mask is None for case in cases)
    assert len({case.group for case in cases}) == 10


def test_a_folder_without_brain_train_says_what_is_expected(tmp_path):
    with pytest.raises(BadDatasetError, match="brain_train does not exist") as caught:
        mood_cases(tmp_path, OPTIONS, Path("unused"))
    assert "MOOD" in caught.value.hint


def test_a_folder_without_nifti_files_is_refused(tmp_path):
    (tmp_path / "brain_train").mkdir()
    (tmp_path / "brain_train" / "00000.png").touch()
    with pytest.raises(BadDatasetError, match="holds no NIfTI files"):
        mood_cases(tmp_path, OPTIONS, Path("unused"))


def test_a_download_cut_short_leaves_none_for_the_test_and_is_refused(tmp_path):
    with pytest.raises(BadDatasetError, match=r"holds 7 brains.*none is left for the test"):
        _cases(tmp_path, 7)


@pytest.mark.parametrize("validation", [0, 7])
def test_numbers_that_leave_a_side_empty_are_refused(validation):
    with pytest.raises(ValueError, match="validation must be at least 1"):
        MoodOptions(train=7, validation=validation)
