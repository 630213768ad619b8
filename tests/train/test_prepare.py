"""The stage `prepare`, run in an empty folder on a few phantoms."""

import csv
import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from infer.errors import BadOutputError
from infer.phantom import head_volume
from infer.preprocessing import UNPROCESSED, preprocess
from infer.readers import read
from infer.resizing import to_image_size
from infer.writers.phantoms import write_nifti
from train import data, storing
from train.command import run_stage
from train.datasets.case import Case
from train.datasets.catalog import DATASETS
from train.paths import scans_table
from train.reading import read_case
from train.scan_files import unfitted_digest, unwatched
from train.stages.prepare import prepare

BLOCKS = """
study: {study}
root: .
params_file: params.yaml
methods: [cae]
variants: {{}}
patches: {{}}
ensembles: {{}}
data:
  dataset: {dataset}
  source: {source}
  modality: CT
  channels: 1
  colours: []
  image_size: [32, 64]
  plane: axial
  slice_range: {slice_range}
  intensity: {{recipe: window, low: 0.0, high: 80.0, inside: all}}
  preprocessing:
    noise: {noise}
    noise_px: 3
    noise_search_px: 5
    noise_strength: 0.05
    foreground: {foreground}
    blank: []
  store: float32
  smallest_foreground: 0.0
  options: {options}
split:
  seed: 1
  scheme: {scheme}
  normal_folds: 5
  fold: 0
  groups: {groups}
  abnormals: {abnormals}
  half: 0
augment: {{}}
fit: {{}}
scores: {{}}
export: {{}}
evaluate: {{}}
where: {{}}
compare: {{}}
crossval: {{}}
"""
PHANTOM = "{normals: 10, abnormals: 4, size: [72, 60], seed: 1}"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def _prepare(
    *,
    study="tiny",
    dataset="phantom",
    source="none",
    options=PHANTOM,
    noise="none",
    foreground="none",
    scheme="folds",
    groups="{train: 0, validation: 0, test: 0}",
    abnormals="halves",
    slice_range="[0.0, 1.0]",
):
    text = BLOCKS.format(
        study=study,
        dataset=dataset,
        source=source,
        options=options,
        noise=noise,
        foreground=foreground,
        scheme=scheme,
        groups=groups,
        abnormals=abnormals,
        slice_range=slice_range,
    )
    Path("params.yaml").write_text(text)
    return run_stage(prepare, ["params.yaml"])


def test_images_are_preprocessed_as_the_product_does_it():
    assert _prepare(noise="median", foreground="brain") == 0
    images, _ = data.load_images("tiny", "train")
    rows = [row for row in data.load_rows("tiny") if row.split == "train"]
    recipe = replace(UNPROCESSED, noise="median", foreground="brain")
    for row, image in zip(rows, images, strict=True):
        seen = preprocess(read(row.scan).voxels[np.newaxis], recipe)
        np.testing.assert_array_equal(image, to_image_size(seen, (32, 64))[0])
        assert (image == 0).mean() > 0.2


def test_a_foreground_that_is_none_of_ours_is_refused(capsys):
    assert _prepare(foreground="skull") == 2
    assert "foreground" in capsys.readouterr().err


def _own_data():
    """Phantoms as a user's own folder, with room for harm."""
    assert _prepare() == 0
    for case in data.load_cases("tiny"):
        label = "normal" if case.case.normal else "abnormal"
        Path("mine", label).mkdir(parents=True, exist_ok=True)
        shutil.copy(case.case.scan, Path("mine", label))


def test_the_store_holds_train_and_validation_and_never_test():
    assert _prepare() == 0
    train, abnormal = data.load_images("tiny", "train")
    assert train.shape == (6, 1, 32, 64)
    assert not abnormal.any()
    _, abnormal = data.load_images("tiny", "validation")
    assert sorted(abnormal) == [False, False, True, True]
    assert {row.split for row in data.load_rows("tiny")} == {"train", "validation"}
    assert sum(it.split == "test" for it in data.load_cases("tiny")) == 4
    assert len(np.load("data/tiny/images.npy")) == 10


def test_images_lie_between_0_and_1():
    _prepare()
    images, _ = data.load_images("tiny", "train")
    assert images.dtype == np.float32
    assert images.min() == 0
    assert images.max() == 1


def test_two_runs_write_the_same_bytes():
    _prepare()
    first = {path: path.read_bytes() for path in Path("data/tiny").rglob("*") if path.is_file()}
    _prepare()
    assert first == {path: path.read_bytes() for path in first}


def test_tables_name_scans_that_exist_and_no_absolute_path():
    _prepare()
    for it in data.load_cases("tiny"):
        assert not it.case.scan.is_absolute()
        assert it.case.scan.is_file()
        assert it.case.mask is None or it.case.mask.is_file()


def test_tables_are_plain_csv_with_the_promised_columns():
    _prepare()
    first_lines = [
        Path("data/tiny", name).read_text().splitlines()[0] for name in ("cases.csv", "images.csv")
    ]
    assert first_lines == [
        "scan,group,label,mask,split",
        "row,scan,slice,split,label,group,position,foreground",
    ]


def test_the_hash_follows_the_data():
    _prepare()
    first = data.data_hash("tiny")
    _prepare(options=PHANTOM.replace("seed: 1", "seed: 2"))
    assert data.data_hash("tiny") != first


def test_a_broken_scan_is_reported_and_left_out(capsys):
    _own_data()
    own = {"study": "own", "dataset": "folder", "source": "mine", "options": "{}"}
    _prepare(**own)
    whole = [it.case.scan for it in data.load_cases("own")]
    broken = next(row.scan for row in data.load_rows("own") if row.split == "train")
    broken.write_bytes(b"\x89PNG cut short")
    assert _prepare(**own) == 0
    assert [it.case.scan for it in data.load_cases("own")] == [
        scan for scan in whole if scan != broken
    ]
    errors = capsys.readouterr().err
    assert f"skipped {broken}: " in errors
    assert "1 of 14 scans were skipped" in errors


def _in_data():
    """Its folders. Locks stay: one that is removed could be held by two."""
    return {path.name for path in Path("data").iterdir() if path.suffix != ".lock"}


def test_an_interrupted_run_leaves_nothing_half_written_and_goes_on(monkeypatch):
    _own_data()
    own = {"study": "own", "dataset": "folder", "source": "mine", "options": "{}"}
    assert _prepare(**own) == 0
    whole = {path: path.read_bytes() for path in Path("data/own").iterdir()}
    shutil.rmtree("data/own")
    reads = []

    def stopped(case, numbers, stop_at):
        if len(reads) == stop_at:
            raise KeyboardInterrupt
        reads.append(case.scan)
        return read_case(case, numbers)

    monkeypatch.setattr(storing, "cores", lambda: 1)
    monkeypatch.setattr(storing, "read_case", lambda *given: stopped(*given, stop_at=6))
    with pytest.raises(KeyboardInterrupt):
        _prepare(**own)
    assert not Path("data/own").exists()
    monkeypatch.setattr(storing, "read_case", lambda *given: stopped(*given, stop_at=-1))
    assert _prepare(**own) == 0
    assert len(reads) == len(set(reads)) == 10  # each once in both runs together
    assert {path: path.read_bytes() for path in Path("data/own").iterdir()} == whole
    assert _in_data() == {"tiny", "own"}


def test_what_was_read_before_the_disk_was_full_is_kept(monkeypatch, capsys):
    _own_data()
    own = {"study": "own", "dataset": "folder", "source": "mine", "options": "{}"}

    def full(*given):
        raise BadOutputError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(storing.GrowingStore, "finish", full)
        assert _prepare(**own) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert not Path("data/own").exists()
    monkeypatch.setattr(storing, "read_case", full)  # nothing is to be read any more
    assert _prepare(**own) == 0
    assert len(data.load_rows("own")) == 10


def test_scans_that_an_earlier_run_had_drawn_do_not_stay(monkeypatch):
    def stop(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storing.GrowingStore, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            _prepare(options=PHANTOM.replace("normals: 10", "normals: 15"))
    assert _prepare() == 0
    assert len(list(Path("data/tiny/scans").iterdir())) == 14


def test_the_hash_is_that_of_data_prepared_before_more_was_known_of_images():
    _prepare()
    named = data.data_hash("tiny")
    table = Path("data/tiny/images.csv")
    lines = [line.split(",")[:5] for line in table.read_text().splitlines()]
    table.write_text("".join(f"{','.join(line)}\n" for line in lines))
    assert data.data_hash("tiny") == named
    files = [Path("data/tiny", name) for name in ("cases.csv", "images.csv", "images.npy")]
    parts = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
    assert hashlib.sha256(parts).hexdigest() == named
    assert data.load_rows("tiny")[0].group == ""


def test_an_image_is_known_by_its_group_place_and_foreground():
    _prepare()
    groups = {it.case.scan: it.case.group for it in data.load_cases("tiny")}
    for row in data.load_rows("tiny"):
        assert row.group == groups[row.scan]
        assert row.position == 0.5
        assert 0.2 < row.foreground < 0.9  # a head in air


@pytest.mark.parametrize("kind", ["float16", "uint8"])
def test_images_come_back_from_a_smaller_store_within_half_a_grey_level(kind, monkeypatch):
    _prepare()
    exact, _ = data.load_images("tiny", "train")
    monkeypatch.setitem(globals(), "BLOCKS", BLOCKS.replace("float32", kind))
    _prepare(study="small")
    images, _ = data.load_images("small", "train")
    assert images.dtype == np.float32
    assert 0 < np.abs(images - exact).max() <= 0.5 / 255 + 2**-24
    assert np.load("data/small/images.npy").dtype == kind


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [("store: float8", "Invalid enum value 'float8'"), ("smallest_foreground: 1.0", "below 1")],
)
def test_a_store_that_there_is_not_is_refused(wrong, complaint, capsys, monkeypatch):
    name = wrong.split(":")[0]
    monkeypatch.setitem(globals(), "BLOCKS", re.sub(rf"{name}: \S+", wrong, BLOCKS))
    assert _prepare() == 2
    assert complaint in capsys.readouterr().err


def test_a_division_that_cannot_work_is_refused_before_any_scan_is_read(capsys, monkeypatch):
    """Which may take hours; what was read would be gone."""
    _own_data()
    shutil.rmtree("mine/abnormal")
    monkeypatch.setattr(
        "train.stages.prepare.store_images", lambda *given: pytest.fail("scans were read")
    )
    assert _prepare(study="own", dataset="folder", source="mine", options="{}") == 2
    assert "abnormal scan is left for validation" in capsys.readouterr().err
    assert not Path("data/own").exists()


def test_with_no_scan_left_nothing_is_written(capsys):
    _own_data()
    for scan in Path("mine/normal").iterdir():
        scan.write_text("not a picture")
    assert _prepare(study="own", dataset="folder", source="mine", options="{}") == 2
    assert "no readable normal scan is left for train" in capsys.readouterr().err
    assert not Path("data/own").exists()
    assert _in_data() == {"tiny"}


OWN = {"study": "own", "dataset": "folder", "source": "mine", "options": "{}"}


def _volumes(kinds, *, shape=(8, 40, 32)):
    """Volumes of a user's own, each abnormal one with its mask."""
    for at, lesions in enumerate(kinds):
        phantom = head_volume(at, shape=shape, lesions=lesions)
        folder = "abnormal" if lesions else "normal"
        for place, voxels in ((folder, phantom.voxels_hu), ("masks", phantom.mask)):
            if lesions or place == "normal":
                Path("mine", place).mkdir(parents=True, exist_ok=True)
                path = Path("mine", place, f"{at}.nii.gz")
                write_nifti(path, voxels.astype(np.int16), phantom.spacing_mm)


def _truth(scan, shape=(8, 40, 32)):
    return head_volume(int(scan.name[0]), shape=shape, lesions=("mass",)).mask


def _own_study(abnormals=2):
    """Normal volumes and such with lesions and masks; how to prepare them."""
    _volumes([()] * 4 + [("mass",)] * abnormals)
    return OWN | {"scheme": "groups", "groups": "{train: 2, validation: 1, test: 1}"}


def _tested(study="own"):
    """The abnormal case of a study that is tested."""
    (found,) = [
        it.case for it in data.load_cases(study) if it.split == "test" and not it.case.normal
    ]
    return found


def _files(study="own"):
    with scans_table(study).open(newline="") as file:
        return {Path(it["scan"]): it for it in csv.DictReader(file)}


@pytest.mark.parametrize("harm", ["scan", "mask"])
def test_a_test_scan_that_cannot_be_read_is_known_before_anything_is_fitted(harm, capsys):
    own = _own_study(abnormals=4)
    assert _prepare(**own) == 0
    tested = [it.case for it in data.load_cases("own") if it.split == "test"]
    broken = next(it for it in tested if not it.normal)
    if harm == "scan":
        broken.scan.write_bytes(b"no volume")
    else:
        write_nifti(broken.mask, np.ones((3, 3, 3), np.uint8), (1.0, 1.0, 1.0))
    assert _prepare(**own) == 0
    left = [it.case.scan for it in data.load_cases("own") if it.split == "test"]
    assert left == [it.scan for it in tested if it != broken]
    said = capsys.readouterr().err
    assert f"skipped {broken.scan}: " in said
    assert "1 of 8 scans were skipped" in said


def test_what_the_files_hold_that_validate_and_test_is_written_down():
    _prepare(**_own_study())
    found = _files()
    told = [it for it in data.load_cases("own") if it.split != "train"]
    assert set(found) == {it.case.scan for it in told}
    for it in told:
        own = hashlib.sha256(it.case.scan.read_bytes()).hexdigest()
        # A scan may be of many files: its digest is that of their digests.
        assert found[it.case.scan]["sha256"] == hashlib.sha256(own.encode()).hexdigest()
        assert bool(found[it.case.scan]["mask_sha256"]) == (it.case.mask is not None)


def test_another_test_mask_is_noticed_and_is_no_reason_to_fit_again():
    own = _own_study()
    _prepare(**own)
    before = data.data_hash("own"), unfitted_digest("own"), _files()
    case = _tested()
    was = nibabel.load(case.mask)
    marked = np.roll(np.asarray(was.dataobj), 1, axis=0)
    nibabel.save(nibabel.Nifti1Image(marked, was.affine), case.mask)
    _prepare(**own)
    assert data.data_hash("own") == before[0]
    assert unfitted_digest("own") != before[1]
    changed = {scan for scan, line in _files().items() if line != before[2][scan]}
    assert changed == {case.scan}


def test_a_study_of_which_no_files_were_written_down_has_no_digest_of_them():
    _prepare()
    assert unfitted_digest("tiny")
    scans_table("tiny").unlink()
    assert unfitted_digest("tiny") == ""


@pytest.mark.parametrize("inner", ["normal", "abnormal", "masks", "normal/eve"])
def test_scans_behind_a_linked_folder_are_said_not_to_be_watched(inner, capsys):
    own = _own_study()
    if inner == "normal/eve":
        Path("mine/normal/eve").mkdir()
        Path("mine/normal/0.nii.gz").rename("mine/normal/eve/0.nii.gz")
    Path("mine", inner).rename("elsewhere")
    Path("mine", inner).symlink_to(Path("elsewhere").absolute())
    assert _prepare(**own) == 0
    said = capsys.readouterr().err
    assert f"warning: mine/{inner} is a link to a folder" in said
    assert "run `dvc repro -f -s prepare && dvc repro`" in said


def test_scans_that_only_a_table_names_are_said_not_to_be_watched(capsys):
    own = _own_study()
    lines = ["scan,label,patient,mask"]
    for scan in sorted(Path("mine").glob("*/*.nii.gz")):
        if scan.parent.name != "masks":
            mask = f"mine/masks/{scan.name}" if scan.parent.name == "abnormal" else ""
            lines.append(f"{scan},{scan.parent.name},,{mask}")
    Path("mine.csv").write_text("\n".join(lines) + "\n")
    assert _prepare(**own | {"source": "mine.csv"}) == 0
    assert "DVC watches mine.csv, but not mine/" in capsys.readouterr().err


def test_what_is_to_be_run_after_a_change_is_of_this_study():
    source, case = Path("mine"), Case(scan=Path("a.png"), group="a", normal=True, mask=None)
    cases = [data.SplitCase(case=case, split="test")]
    said = unwatched(source, cases, drawn=Path("data"), params_file="studies/mine/params.yaml")
    pipeline = "studies/mine/dvc.yaml"
    assert f"`dvc repro -f -s {pipeline}:prepare && dvc repro {pipeline}`" in said


def test_killed_before_its_files_are_written_down_a_study_has_no_table_of_others(monkeypatch):
    own = _own_study()
    _prepare(**own)

    def killed(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("train.stages.prepare.save_digests", killed)
    with pytest.raises(KeyboardInterrupt):
        _prepare(**own)
    assert unfitted_digest("own") == ""


def test_a_source_that_is_a_link_itself_and_linked_files_are_watched(capsys):
    own = _own_study()
    Path("mine").rename("there")
    Path("mine").symlink_to("there")
    Path("there/normal/0.nii.gz").rename("0.nii.gz")
    Path("there/normal/0.nii.gz").symlink_to(Path("0.nii.gz").absolute())
    assert _prepare(**own) == 0
    assert "watch" not in capsys.readouterr().err


def test_scans_that_a_dataset_draws_are_watched(capsys):
    assert _prepare() == 0
    assert "DVC" not in capsys.readouterr().err


def test_slices_that_no_lesion_reaches_are_normal_slices():
    _volumes([()] * 6)
    _volumes([("mass",)] * 6)
    assert _prepare(**OWN) == 0
    for row in data.load_rows("own"):
        if row.scan.parent.name == "abnormal":
            assert row.normal == (not _truth(row.scan)[row.slice].any())


def test_where_every_scan_has_a_lesion_one_is_left_out_and_normal_slices_train():
    _volumes([("mass",)] * 5)
    one_out = {
        "scheme": "leave_one_out",
        "groups": "{train: 0, validation: 1, test: 0}",
        "abnormals": "folds",
    }
    assert _prepare(**OWN, **one_out) == 0
    sides = {it.case.scan.name[0]: it.split for it in data.load_cases("own")}
    assert sides == {"0": "test", "1": "validation", **dict.fromkeys("234", "train")}
    images, abnormal = data.load_images("own", "train")
    free = sum(int((~_truth(Path(name)).any(axis=(1, 2))).sum()) for name in "234")
    assert len(images[~abnormal]) == free > 0
    _, abnormal = data.load_images("own", "validation")
    assert abnormal.any()
    assert not abnormal.all()


def test_slices_out_of_range_are_not_stored_and_the_others_keep_their_places():
    _volumes([()] * 4 + [("mass",)] * 4)
    whole, part = (
        {"abnormals": "folds", "scheme": "groups", "groups": "{train: 4, validation: 2, test: 2}"}
        | {"slice_range": it}
        for it in ("[0.0, 1.0]", "[0.25, 0.75]")
    )
    assert _prepare(**OWN, **whole) == 0
    every = {(row.scan, row.slice): row for row in data.load_rows("own")}
    images = np.load("data/own/images.npy")
    assert _prepare(**OWN, **part) == 0
    rows = data.load_rows("own")
    assert {row.slice for row in rows} == {2, 3, 4, 5}
    for row in rows:  # what air is was looked for among the slices that are looked at
        assert replace(every[row.scan, row.slice], foreground=row.foreground) == row
    places = [list(every).index((row.scan, row.slice)) for row in rows]
    np.testing.assert_array_equal(np.load("data/own/images.npy"), images[places])


def test_normal_scans_alone_can_be_prepared_where_the_scheme_asks_for_no_others():
    _volumes([()] * 4)
    numbers = {"scheme": "groups", "groups": "{train: 2, validation: 1, test: 1}"}
    assert _prepare(**OWN, **numbers) == 0
    assert sorted(it.split for it in data.load_cases("own")) == [
        "test",
        "train",
        "train",
        "validation",
    ]


def test_a_side_whose_every_slice_has_a_lesion_is_refused(capsys):
    _volumes([("mass",)] * 4)
    marked = np.ones((8, 40, 32), np.int16)
    marked[:, 0] = 0
    for mask in Path("mine/masks").iterdir():
        write_nifti(mask, marked, head_volume(0, shape=marked.shape, lesions=()).spacing_mm)
    one_out = {
        "scheme": "leave_one_out",
        "groups": "{train: 0, validation: 1, test: 0}",
        "abnormals": "folds",
    }
    assert _prepare(**OWN, **one_out) == 2
    errors = capsys.readouterr().err
    assert "no readable slice without an anomaly is left for train" in errors
    assert "slice_range" in errors


def test_what_a_dataset_makes_of_its_cases_once_dealt_lies_on_their_sides(monkeypatch):
    def twins(divided, options, out):
        """An abnormal copy of each scan that does not train."""
        copies = [it for it in divided if it.split != "train"]
        made = []
        for it in copies:
            twin = out / f"twin_{it.case.scan.name}"
            shutil.copy(it.case.scan, twin)
            case = replace(it.case, scan=twin, normal=False)
            made.append(replace(it, case=case))
        return [*divided, *made]

    phantom = DATASETS["phantom"]
    monkeypatch.setitem(DATASETS, "phantom", replace(phantom, dealt=twins))
    numbers = {"scheme": "groups", "groups": "{train: 5, validation: 2, test: 3}"}
    options = PHANTOM.replace("abnormals: 4", "abnormals: 0")
    assert _prepare(options=options, **numbers) == 0
    sides = {}
    for it in data.load_cases("tiny"):
        assert it.case.scan.is_file()
        sides.setdefault(it.case.group, []).append((it.split, it.case.normal))
    assert sorted(map(sorted, sides.values())) == sorted(
        [[("train", True)]] * 5
        + [[("validation", False), ("validation", True)]] * 2
        + [[("test", False), ("test", True)]] * 3
    )


def test_artificial_anomalies_validate_and_test_and_never_train():
    planting = (
        "{kinds: [sphere_bright, noise], per_scan: 2, radii_mm: [4.0, 6.0], contrast: [1.0, 2.0], "
        "least_change: 0.25, edge: 0.4, foreground: body, margin_mm: 2.0, pixel_mm: 1.0, seed: 1}"
    )
    heads = "{normals: 10, abnormals: 0, size: [72, 60], seed: 1}"
    options = f"{{of: phantom, options: {heads}, planting: {planting}}}"
    assert _prepare(dataset="artificial", options=options) == 0
    cases = data.load_cases("tiny")
    for split, normal, abnormal in (("train", 6, 0), ("validation", 2, 4), ("test", 2, 4)):
        found = [it.case for it in cases if it.split == split]
        assert sum(case.normal for case in found) == normal
        planted = [case for case in found if not case.normal]
        assert [case.kind for case in planted].count("noise") * 2 == len(planted) == abnormal
        assert all(case.scan.is_file() and case.mask.is_file() for case in planted)
        assert {case.group for case in planted} <= {case.group for case in found if case.normal}
    _, abnormal = data.load_images("tiny", "validation")
    assert abnormal.sum() == 4


@pytest.mark.parametrize(
    ("wrong", "complaint", "hint"),
    [
        ({"dataset": "phantm"}, "dataset 'phantm' is unknown", "phantom"),
        ({"options": PHANTOM.replace("size", "sise")}, "sise is unknown", "size"),
        ({"options": "{normals: 1}"}, "lacks abnormals, size, seed", ""),
    ],
)
def test_a_wrong_number_is_refused_in_two_lines(wrong, complaint, hint, capsys):
    assert _prepare(**wrong) == 2
    errors = capsys.readouterr().err
    assert complaint in errors
    assert hint in errors


def test_an_unprepared_study_says_so():
    with pytest.raises(data.UadError, match="has not been prepared"):
        data.load_cases("other")


def test_a_study_never_replaces_what_is_not_its_own(capsys):
    Path("data/raw/head_ct").mkdir(parents=True)
    assert _prepare(study="raw") == 2
    assert "not a prepared study" in capsys.readouterr().err
    assert Path("data/raw/head_ct").exists()
