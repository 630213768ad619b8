"""Which DICOM files belong together, what each series is called, what is left out."""

import os

import numpy as np
import pytest
from pydicom.uid import generate_uid

from infer.errors import UnreadableScanError
from infer.executors.processes import WorkerLost
from infer.output_folder import JOURNAL, SEGMENTATIONS
from infer.readers import dicom_series, find_sources, read, read_series
from infer.readers.dicom_header import DIRECTORY
from tests.infer.dicom_files import SECRETS, base, enhanced, head, saved, series, with_pixels


def found(folder, **options):
    """Name → names of the files of each DICOM series."""
    sources = find_sources(folder, **options)
    return {name: sorted(path.name for path in source.series) for name, source in sources.items()}


def radiograph(path, **header):
    dataset = with_pixels(base(modality="DX", **header), head()[0])
    return saved(dataset, path)


def test_a_series_is_called_after_its_folder_and_a_lone_file_after_itself(tmp_path):
    series(tmp_path / "ward/anna", head(), name="{}")
    enhanced(tmp_path / "ward/brain.dcm", head())
    assert found(tmp_path) == {
        "ward/anna": ["0", "1", "2", "3", "4"],
        "ward/brain.dcm": ["brain.dcm"],
    }


def test_several_series_of_a_folder_are_told_apart_by_number_and_uid(tmp_path):
    series(tmp_path / "anna", head(), name="a{}", number=2)
    series(tmp_path / "anna", head(), name="b{}", number=2)
    names = list(found(tmp_path))
    assert len(names) == 2
    assert all(name.startswith("anna/series-2-") for name in names)
    assert names == list(found(tmp_path))  # the same every time


def test_no_series_is_lost_where_two_have_the_same_digest(tmp_path, monkeypatch):
    """As of 10,000 series in one folder, two have once in a hundred times."""
    monkeypatch.setattr(dicom_series, "_DIGITS", 1)
    for at in range(17):  # more than there are digits
        series(tmp_path / "anna", head()[:2], name=f"{at}-{{}}", number=2)
    names = list(found(tmp_path))
    assert len(names) == 17
    assert names == list(found(tmp_path))  # the same every time


def test_a_series_that_lies_in_the_folder_itself_takes_its_name(tmp_path):
    series(tmp_path / "scans", head(), name="{}.dcm")
    assert list(found(tmp_path / "scans")) == ["scans"]
    series(tmp_path / "scans/scans", head(), name="{}.dcm")
    names = list(found(tmp_path / "scans"))
    assert len(names) == len(set(names)) == 2


def test_a_series_spread_over_folders_is_one_scan(tmp_path):
    uid = generate_uid()
    positions = [(0, 0, 3.0 * at) for at in range(4)]
    series(tmp_path / "disc/a", head()[:2], positions=positions[:2], series=uid)
    series(tmp_path / "disc/b", head()[2:4], positions=positions[2:], series=uid)
    assert {name: len(files) for name, files in found(tmp_path).items()} == {"disc": 4}


def test_files_are_known_by_content_and_other_files_are_no_scans(tmp_path):
    series(tmp_path, head(), name="1.2.840.{}")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "noending").write_bytes(b"hello" * 100)
    (tmp_path / "picture.png").write_bytes(b"")
    assert set(found(tmp_path)) == {tmp_path.name, "picture.png"}


def test_a_dicom_ending_without_dicom_in_it_is_a_scan_that_fails(tmp_path):
    (tmp_path / "text.dcm").write_text("hello")
    (tmp_path / "broken.dcm").symlink_to("nowhere")
    sources = find_sources(tmp_path)
    assert set(sources) == {"broken.dcm", "text.dcm"}
    with pytest.raises(UnreadableScanError, match=r"text\.dcm is not a DICOM file"):
        read_series(sources["text.dcm"].series)
    with pytest.raises(UnreadableScanError, match=r"broken\.dcm could not be opened: No such file"):
        read_series(sources["broken.dcm"].series)


def test_pipes_block_nobody(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "pipe.dcm").symlink_to(tmp_path / "pipe")
    sources = find_sources(tmp_path)
    with pytest.raises(UnreadableScanError, match=r"pipe\.dcm is not a file"):
        read_series(sources["pipe.dcm"].series)


def test_radiographs_of_one_series_are_scans_of_their_own(tmp_path):
    uid = generate_uid()
    for name in ("front.dcm", "side.dcm"):
        radiograph(tmp_path / name, series=uid)
    assert list(found(tmp_path)) == ["front.dcm", "side.dcm"]


def test_multi_frame_files_of_one_series_are_volumes_of_their_own(tmp_path):
    for name in ("a.dcm", "b.dcm"):
        enhanced(tmp_path / name, head(), series="1.2.3")
    assert list(found(tmp_path)) == ["a.dcm", "b.dcm"]


def test_a_volume_cut_into_several_multi_frame_files_is_one_scan(tmp_path):
    stored = head(shape=(6, 12, 10))
    for name, places in {"a.dcm": slice(0, 4), "b.dcm": slice(4, 6)}.items():
        dataset = enhanced(tmp_path / name, stored[places], series="1.2.3", start=places.start)
        dataset.ConcatenationUID = "1.2.3.4"
        dataset.FrameOfReferenceUID = "1.2.3.5"
        saved(dataset, tmp_path / name)
    [source] = find_sources(tmp_path).values()
    np.testing.assert_array_equal(read_series(source.series)[0].voxels[0], stored)


def test_several_volumes_of_one_series_each_cut_into_files_are_scans_of_their_own(tmp_path):
    stored = {"1.2.3.4": head(seed=1), "1.2.3.5": head(seed=2)}
    for uid, voxels in stored.items():
        for places in (slice(0, 3), slice(3, 5)):
            path = tmp_path / f"{uid}_{places.start}.dcm"
            dataset = enhanced(path, voxels[places], series="1.2.3", start=places.start)
            dataset.ConcatenationUID = uid
            dataset.FrameOfReferenceUID = "1.2.3.6"
            saved(dataset, path)
    sources = find_sources(tmp_path)
    assert len(sources) == 2
    for source in sources.values():
        uid = "1.2.3.4" if "1.2.3.4" in source.series[0].name else "1.2.3.5"
        np.testing.assert_array_equal(read_series(source.series)[0].voxels[0], stored[uid])


def test_slices_without_a_position_stay_in_their_series_which_is_refused(tmp_path):
    series(tmp_path, head(), change=lambda d, at: delattr(d, "ImagePositionPatient"))
    [source] = find_sources(tmp_path).values()
    with pytest.raises(UnreadableScanError, match="no position in space for 5 of its 5"):
        read_series(source.series)


def test_the_index_of_a_disc_is_no_scan(tmp_path):
    series(tmp_path / "IMAGES", head())
    saved(base(sop_class=DIRECTORY), tmp_path / "DICOMDIR")
    assert list(found(tmp_path)) == ["IMAGES"]


def test_segmentations_of_an_earlier_run_are_no_scans(tmp_path):
    series(tmp_path / "a", head())
    saved(with_pixels(base(), head()[0]), tmp_path / "out" / SEGMENTATIONS / "a.dcm")
    (tmp_path / "out" / JOURNAL).touch()
    assert list(found(tmp_path)) == ["a"]
    (tmp_path / "out" / JOURNAL).unlink()
    assert list(found(tmp_path, without=tmp_path / "out")) == ["a"]


def test_a_folder_called_like_a_picture_keeps_apart_from_it(tmp_path):
    series(tmp_path / "b.png", head())
    (tmp_path / "a.png").write_bytes(b"")
    assert set(found(tmp_path)) == {"a.png", "b.png"}


def test_one_file_may_be_given_instead_of_a_folder(tmp_path):
    path = enhanced(tmp_path / "IM1", head()) and tmp_path / "IM1"
    assert found(path) == {"IM1": ["IM1"]}
    (tmp_path / "a.mha").write_bytes(b"")
    assert list(find_sources(tmp_path / "a.mha")) == ["a.mha"]


def test_a_file_or_the_folder_of_one_series_is_read_by_its_path(tmp_path):
    series(tmp_path / "a", head())
    enhanced(tmp_path / "IM1", head())
    np.testing.assert_array_equal(read(tmp_path / "a").voxels[0], head() - 1024)
    np.testing.assert_array_equal(read(tmp_path / "IM1").voxels[0], head())
    with pytest.raises(UnreadableScanError, match="holds 2 DICOM series, not one"):
        read(tmp_path)


def test_no_name_of_a_series_tells_who_the_patient_is(tmp_path):
    for number in (1, 2):
        series(tmp_path, head(), name=f"{number}-{{}}", number=number)
    names = "".join(found(tmp_path))
    assert not any(secret.lower() in names.lower() for secret in SECRETS.values())


def test_only_files_of_unknown_ending_are_opened(tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "infer.readers.dicom_series.is_dicom", lambda path: opened.append(path.name)
    )
    for name in ("a.png", "b.nii.gz", "c.tiff", "d.txt", "IM7"):
        (tmp_path / name).write_bytes(np.zeros(200, np.uint8).tobytes())
    find_sources(tmp_path)
    assert sorted(opened) == ["IM7", "d.txt"]


def test_processes_find_the_series_that_one_finds(tmp_path, monkeypatch):
    series(tmp_path / "anna", head(), name="a{}", number=2)
    series(tmp_path / "anna", head(), name="b{}", number=3)
    radiograph(tmp_path / "anna/chest.dcm")
    (tmp_path / "broken.dcm").write_bytes(b"not DICOM")
    (tmp_path / "notes").write_text("neither")
    alone = found(tmp_path)
    monkeypatch.setattr(dicom_series, "MANY_FILES", 0)
    monkeypatch.setattr(dicom_series, "AT_ONCE", 3)
    assert found(tmp_path) == alone
    assert len(alone) == 4


def test_a_file_that_ends_the_process_is_a_scan_whose_reader_says_why(tmp_path):
    series(tmp_path / "anna", head(), name="{}")
    files = sorted((tmp_path / "anna").iterdir())

    def sort(some):
        if files[2] in some:
            raise WorkerLost("its process was ended by SIGKILL")
        return dicom_series.memberships(some)

    sorted_out = dicom_series._outliving(sort)(files)
    assert [it.file for it in sorted_out] == files
    assert len({it.key for it in sorted_out}) == 2
    assert [it.key[0] for it in sorted_out].index("") == 2
