from pathlib import Path

import pytest

from tests.train.datasets.nifti_files import write_nifti
from train.datasets.brats import BratsOptions, brats_cases
from train.datasets.case import BadDatasetError

# Of one patient, by how each year names its files: flair, t1, t1ce, t2, segmentation.
NAMES = {
    "2015": (
        "p/",
        [*(f"{it}_subtrMeanDivStd" for it in ("Flair", "T1", "T1c", "T2")), "OTMultiClass"],
    ),
    "2019": ("p/p_", ["flair", "t1", "t1ce", "t2", "seg"]),
    "2021": ("p/BraTS2021_00000_", ["flair", "t1", "t1ce", "t2", "seg"]),
    "2023": ("p/BraTS-GLI-00000-000-", ["t2f", "t1n", "t1c", "t2w", "seg"]),
}
MODALITIES = ("flair", "t1", "t1ce", "t2")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _cases(source="data", modality="flair"):
    return brats_cases(Path(source), BratsOptions(modality=modality), Path("unused"))


def _patient(folder, *, lesion=True):
    name = Path(folder).name
    for what in (*MODALITIES, "seg"):
        write_nifti(Path(folder, f"{name}_{what}.nii.gz"), lesion=lesion and what == "seg")


@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("year", NAMES)
def test_each_year_s_names_give_the_modality_asked_for_and_its_segmentation(root, year, modality):
    before, names = NAMES[year]
    paths = [Path(f"data/{before}{name}.nii.gz") for name in names]
    for path in paths:
        write_nifti(path, lesion=path == paths[-1])
    write_nifti(Path("data/p/brainmask.nii.gz"))
    (case,) = _cases(modality=modality)
    assert case.scan == paths[MODALITIES.index(modality)]
    assert case.mask == paths[-1]
    assert not case.normal


def test_a_scan_whose_segmentation_is_empty_is_normal(root):
    _patient("data/a", lesion=True)
    _patient("data/b", lesion=False)
    assert [(case.group, case.normal, case.mask is None) for case in _cases()] == [
        ("a", False, False),
        ("b", True, True),
    ]


def test_folders_above_a_patient_say_his_grade(root):
    _patient("data/training/HGG/a")
    _patient("data/training/LGG/b")
    _patient("data/elsewhere/c")
    assert {case.group: case.kind for case in _cases()} == {"a": "HGG", "b": "LGG", "c": ""}


def test_a_table_of_names_says_the_grade_by_whichever_year_s_name(root):
    _patient("data/BraTS20_1")
    _patient("data/BraTS20_2")
    Path("data/name_mapping.csv").write_text(
        "Grade,BraTS_2019_subject_ID,BraTS_2020_subject_ID\nHGG,BraTS19_1,BraTS20_1\n"
        "LGG,NA,BraTS20_2\n"
    )
    assert {case.group: case.kind for case in _cases()} == {"BraTS20_1": "HGG", "BraTS20_2": "LGG"}


def test_two_visits_of_a_patient_are_one_group(root):
    for visit in ("BraTS-GLI-00001-000", "BraTS-GLI-00001-001", "BraTS-GLI-00002-000"):
        for what in ("t2f", "seg"):
            write_nifti(Path(f"data/{visit}/{visit}-{what}.nii.gz"))
    assert [case.group for case in _cases()] == [
        "BraTS-GLI-00001",
        "BraTS-GLI-00001",
        "BraTS-GLI-00002",
    ]


def test_a_patient_without_segmentation_is_named(root):
    _patient("data/a")
    Path("data/a/a_seg.nii.gz").unlink()
    with pytest.raises(BadDatasetError, match="data/a has no seg") as caught:
        _cases()
    assert "validation" in caught.value.hint


def test_a_modality_that_is_missing_is_named(root):
    _patient("data/a")
    Path("data/a/a_t2.nii.gz").unlink()
    with pytest.raises(BadDatasetError, match="data/a has no t2"):
        _cases(modality="t2")


def test_a_folder_of_something_else_says_which_layout_is_expected(root):
    write_nifti(Path("data/a/brain.nii.gz"))
    with pytest.raises(BadDatasetError, match="holds no BraTS patients") as caught:
        _cases()
    assert "BraTS-GLI-x-t2f.nii.gz" in caught.value.hint
    with pytest.raises(BadDatasetError, match="nowhere does not exist"):
        _cases("nowhere")


def test_all_patients_in_one_folder_are_not_taken_for_one(root):
    for name in ("a", "b"):
        write_nifti(Path(f"data/{name}_flair.nii.gz"))
    with pytest.raises(BadDatasetError, match="holds two files of flair") as caught:
        _cases()
    assert "a folder of his own" in caught.value.hint


def test_a_broken_segmentation_is_named(root):
    _patient("data/a")
    Path("data/a/a_seg.nii.gz").write_bytes(b"cut short")
    with pytest.raises(BadDatasetError, match=r"a_seg\.nii\.gz cannot be read"):
        _cases()
