from pathlib import Path

import pytest

from infer.readers import read
from tests.infer import dicom_files
from train.datasets.case import BadDatasetError
from train.datasets.catalog import dataset
from train.datasets.folder import FolderOptions, folder_cases


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _touch(*names):
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def _cases(source):
    return folder_cases(Path(source), FolderOptions(), Path("unused"))


def test_folders_say_what_is_normal_and_inner_folders_whose_it_is(root):
    _touch("mine/normal/a.png", "mine/normal/eve/1.nii.gz", "mine/abnormal/eve/2.png")
    found = {case.scan.as_posix(): (case.normal, case.group) for case in _cases("mine")}
    assert found == {
        "mine/normal/a.png": (True, "normal/a.png"),
        "mine/normal/eve/1.nii.gz": (True, "eve"),
        "mine/abnormal/eve/2.png": (False, "eve"),
    }


def test_scans_of_one_name_in_both_folders_are_two_patients(root):
    _touch("mine/normal/a.png", "mine/abnormal/a.png")
    assert len({case.group for case in _cases("mine")}) == 2


def test_masks_mirror_the_abnormal_folder_with_any_ending(root):
    _touch("mine/normal/a.png", "mine/abnormal/a.jpg", "mine/abnormal/eve/b.nii.gz")
    _touch("mine/masks/a.png", "mine/masks/eve/b.nii")
    assert {case.scan.name: case.mask and case.mask.as_posix() for case in _cases("mine")} == {
        "a.png": None,
        "a.jpg": "mine/masks/a.png",
        "b.nii.gz": "mine/masks/eve/b.nii",
    }


def test_two_masks_of_one_scan_are_refused(root):
    _touch("mine/normal/b.png", "mine/abnormal/a.png", "mine/masks/a.png", "mine/masks/a.bmp")
    with pytest.raises(BadDatasetError, match=r"a\.(bmp|png) and .*a\.(bmp|png) are masks of one"):
        _cases("mine")


def test_endings_may_be_in_large_letters(root):
    _touch("mine/abnormal/a.NII.GZ", "mine/masks/a.nii.gz")
    (case,) = _cases("mine")
    assert case.mask == Path("mine/masks/a.nii.gz")


@pytest.mark.parametrize(
    ("folder", "meant"), [("Masks", "masks"), ("mask", "masks"), ("Abnormal", "abnormal")]
)
def test_a_folder_called_nearly_as_one_that_counts_is_refused_not_left_out(root, folder, meant):
    _touch("mine/normal/a.png", "mine/abnormal/b.png", f"mine/{folder}/b.png")
    with pytest.raises(BadDatasetError, match=f"mine/{folder} is none of") as refused:
        _cases("mine")
    assert f"is {meant}/ meant?" in refused.value.hint


def test_other_folders_beside_them_are_nobody_s_business(root):
    _touch("mine/normal/a.png", "mine/abnormal/b.png", "mine/papers/c.png", "mine/.cache/d.png")
    assert len(_cases("mine")) == 2


@pytest.mark.parametrize("place", ["masks", "eve/Mask"])
def test_masks_among_scans_are_refused_not_taken_for_scans(root, place):
    _touch("mine/normal/a.png", "mine/abnormal/b.png", f"mine/abnormal/{place}/b.png")
    with pytest.raises(BadDatasetError, match="would be taken for a scan") as refused:
        _cases("mine")
    assert "mine/masks" in refused.value.hint


def test_a_mask_of_no_scan_is_refused(root):
    _touch("mine/normal/a.png", "mine/abnormal/b.png", "mine/masks/c.png")
    with pytest.raises(BadDatasetError, match=r"c\.png is the mask of no scan"):
        _cases("mine")


def test_a_folder_laid_out_otherwise_says_how_it_must_be(root):
    _touch("mine/healthy/a.png", "mine/abnormal/b.png")
    with pytest.raises(BadDatasetError, match="has no normal/") as caught:
        _cases("mine")
    assert "scan,label,patient,mask" in caught.value.hint


def test_a_source_that_is_not_there_is_named(root):
    with pytest.raises(BadDatasetError, match="mine does not exist"):
        _cases("mine")


@pytest.mark.parametrize("there", ["normal", "abnormal"])
def test_scans_of_one_kind_only_are_a_dataset_too(root, there):
    _touch(f"mine/{there}/eve/1.nii.gz")
    (case,) = _cases("mine")
    assert (case.group, case.normal) == ("eve", there == "normal")


def test_a_dicom_series_is_a_scan_by_its_folder_whose_voxels_can_be_read(root):
    stored = {name: dicom_files.head(seed=at) for at, name in enumerate(("a", "b", "c"))}
    dicom_files.series(Path("mine/normal/a"), stored["a"])
    dicom_files.series(Path("mine/abnormal/eve/b"), stored["b"])
    dicom_files.series(Path("mine/abnormal/eve/c"), stored["c"])
    _touch("mine/masks/eve/b.nii.gz", "mine/normal/d.nii.gz")
    cases = {case.scan.as_posix(): case for case in _cases("mine")}
    assert {name: (case.group, case.normal) for name, case in cases.items()} == {
        "mine/normal/a": ("a", True),
        "mine/normal/d.nii.gz": ("normal/d.nii.gz", True),
        "mine/abnormal/eve/b": ("eve", False),
        "mine/abnormal/eve/c": ("eve", False),
    }
    assert cases["mine/abnormal/eve/b"].mask == Path("mine/masks/eve/b.nii.gz")
    assert cases["mine/abnormal/eve/c"].mask is None
    shapes = [read(cases[name].scan).voxels.shape for name in list(cases) if "eve" in name]
    assert shapes == [(1, *stored["b"].shape)] * 2


@pytest.mark.parametrize("home", ["mine/normal", "mine/normal/eve"])
def test_a_dicom_series_without_a_folder_of_its_own_is_refused(root, home):
    dicom_files.series(Path(home), dicom_files.head())
    _touch("mine/normal/eve/1.png")
    with pytest.raises(BadDatasetError, match="DICOM series") as caught:
        _cases("mine")
    assert "a folder of its own" in caught.value.hint


def _table(*lines, header="scan,label,patient,mask"):
    _touch("mine/a.png", "mine/b.png", "mine/b_mask.png")
    Path("mine/scans.csv").write_text("\n".join([header, *lines]))


def test_a_table_names_scans_labels_patients_and_masks(root):
    _table("a.png,normal,,", "b.png,Abnormal,eve,b_mask.png")
    first, second = _cases("mine/scans.csv")
    assert (first.scan, first.normal, first.group, first.mask) == (
        Path("mine/a.png"),
        True,
        "a.png",
        None,
    )
    assert (second.normal, second.group, second.mask) == (False, "eve", Path("mine/b_mask.png"))


def test_columns_may_stand_in_any_order_beside_others(root):
    _table(",eve,x,b.png,abnormal", header="mask,patient,age,scan,label")
    assert _cases("mine/scans.csv")[0].group == "eve"


def test_a_table_may_say_of_what_kind_an_abnormality_is(root):
    _table("a.png,normal,,,", "b.png,abnormal,eve,,HGG", header="scan,label,patient,mask,kind")
    assert [case.kind for case in _cases("mine/scans.csv")] == ["", "HGG"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a.png,healthy,,", "line 2: label 'healthy' is unknown"),
        ("z.png,normal,,", r"line 2: mine/z\.png does not exist"),
        ("a.png,abnormal,,z.png", r"line 2: mine/z\.png does not exist"),
        (",normal,,", "line 2, names no scan"),
    ],
)
def test_a_wrong_line_is_named(root, line, complaint):
    _table(line)
    with pytest.raises(BadDatasetError, match=complaint):
        _cases("mine/scans.csv")


def test_a_table_without_a_line_names_no_scans(root):
    Path("mine").mkdir()
    Path("mine/scans.csv").write_text("scan,label,patient,mask\n")
    with pytest.raises(BadDatasetError, match="names no scans"):
        _cases("mine/scans.csv")


def test_a_name_that_no_file_can_have_is_named(root):
    _table(f"{'z' * 300}.png,normal,,")
    with pytest.raises(BadDatasetError, match=r"line 2: .* does not exist"):
        _cases("mine/scans.csv")


def test_a_scan_named_twice_is_refused(root):
    _table("a.png,normal,,", "a.png,abnormal,,")
    with pytest.raises(BadDatasetError, match="twice"):
        dataset("folder").find(Path("mine/scans.csv"), FolderOptions(), Path("unused"))


def test_a_misspelt_column_is_not_taken_for_a_missing_one(root):
    _table("a.png,normal,eve,", header="scan,label,pateint,mask")
    with pytest.raises(BadDatasetError, match="lacks the column patient") as caught:
        _cases("mine/scans.csv")
    assert "'pateint'" in caught.value.hint
