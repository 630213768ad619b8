"""Mask → DICOM Segmentation; highdicom's own reader and the source's positions are the truth."""

import io

import highdicom
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from infer.errors import MissingExtraError, UnreadableScanError
from infer.readers.dicom import read
from infer.writers import dicom_seg
from infer.writers.dicom_seg import encode_segmentation
from tests.infer.dicom_files import (
    SAGITTAL,
    SECRETS,
    base,
    enhanced,
    head,
    saved,
    series,
    with_pixels,
)
from tests.infer.tiny_model import MANIFEST


def files_in(folder):
    return sorted(path for path in folder.iterdir() if path.is_file())


def segmentation_of(files, mask_of, *, keep_identifiers=False):
    """The object for a mask, which `mask_of` makes of the voxels."""
    volume, _ = read(files)
    content = encode_segmentation(
        mask_of(volume.voxels[0]), volume, files, MANIFEST, keep_identifiers=keep_identifiers
    )
    return content, highdicom.seg.Segmentation.from_dataset(pydicom.dcmread(io.BytesIO(content)))


def planes_of(segmentation, datasets):
    return segmentation.get_pixels_by_source_instance(
        [dataset.SOPInstanceUID for dataset in datasets],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    ).astype(bool)


@pytest.mark.parametrize("options", [{}, {"directions": SAGITTAL}], ids=["axial", "sagittal"])
def test_each_plane_of_the_mask_lies_on_its_own_source_image(tmp_path, options):
    stored = head()
    datasets = series(tmp_path, stored, intercept=0, **options)
    _, segmentation = segmentation_of(files_in(tmp_path), lambda voxels: voxels > 100)
    np.testing.assert_array_equal(planes_of(segmentation, datasets), stored > 100)
    assert segmentation.StudyInstanceUID == datasets[0].StudyInstanceUID
    assert segmentation.FrameOfReferenceUID == datasets[0].FrameOfReferenceUID
    referenced = segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID
    assert referenced == datasets[0].SeriesInstanceUID != segmentation.SeriesInstanceUID


def test_positions_of_a_tilted_uneven_stack_are_exact(tmp_path):
    positions = [(-20.0, -30.0, height) for height in (0.0, 3.0, 6.0, 10.0, 17.4)]
    directions = ((1.0, 0.0, 0.0), (0.0, 0.9483237, -0.3173047))
    series(tmp_path, head(), positions=positions, directions=directions)
    _, segmentation = segmentation_of(files_in(tmp_path), lambda voxels: voxels > -1024)
    written = [
        tuple(frame.PlanePositionSequence[0].ImagePositionPatient)
        for frame in segmentation.PerFrameFunctionalGroupsSequence
    ]
    assert sorted(written, key=lambda at: at[2]) == positions


def test_frames_of_an_enhanced_file_are_found_in_their_own_order(tmp_path):
    stored, order = head(), [3, 0, 4, 1, 2]
    dataset = enhanced(tmp_path / "mf.dcm", stored, order=order)
    _, segmentation = segmentation_of([tmp_path / "mf.dcm"], lambda voxels: voxels > 100)
    planes = segmentation.get_pixels_by_source_frame(
        dataset.SOPInstanceUID, list(range(1, 6)), combine_segments=True
    )
    np.testing.assert_array_equal(planes.astype(bool), stored[order] > 100)


def rounded(dataset, at):
    dataset.ImageOrientationPatient = [1, 1e-5 * at, 0, -1e-5 * at, 1, 0]


def unknown_thickness(dataset, at):
    dataset.SliceThickness = None  # as PS3.3 C.7.6.2 allows


def without(name):
    def change(dataset, at):
        if name in dataset:
            delattr(dataset, name)

    return change


@pytest.mark.parametrize(
    "change",
    [
        rounded,
        unknown_thickness,
        without("SliceThickness"),
        without("FrameOfReferenceUID"),
        without("Manufacturer"),
    ],
    ids=["rounded", "unknown thickness", "no thickness", "no frame of reference", "no maker"],
)
def test_what_the_reader_takes_a_mask_can_be_laid_over(tmp_path, change):
    stored = head()
    datasets = series(tmp_path, stored, intercept=0, change=change)
    _, segmentation = segmentation_of(files_in(tmp_path), lambda voxels: voxels > 100)
    np.testing.assert_array_equal(planes_of(segmentation, datasets), stored > 100)


@pytest.mark.parametrize("name", ["PlaneOrientationSequence", "PixelMeasuresSequence"])
def test_frames_may_say_each_by_itself_what_all_have_in_common(tmp_path, name):
    path, stored = tmp_path / "mf.dcm", head()
    enhanced(path, stored)
    dataset = pydicom.dcmread(path)
    [shared] = dataset.SharedFunctionalGroupsSequence
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        setattr(frame, name, getattr(shared, name))
    delattr(shared, name)
    dataset.save_as(path)
    _, segmentation = segmentation_of([path], lambda voxels: voxels > 100)
    planes = segmentation.get_pixels_by_source_frame(
        dataset.SOPInstanceUID, list(range(1, 6)), combine_segments=True
    )
    np.testing.assert_array_equal(planes.astype(bool), stored > 100)


def test_slices_that_are_enhanced_files_each_are_refused_in_words(tmp_path):
    uid, reference, study = generate_uid(), generate_uid(), generate_uid()
    for at in range(3):
        path = tmp_path / f"{at}.dcm"
        enhanced(path, head()[at : at + 1], series=uid, start=at)
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID, dataset.StudyInstanceUID = reference, study
        dataset.save_as(path)
    with pytest.raises(UnreadableScanError, match="several multi-frame files"):
        segmentation_of(files_in(tmp_path), lambda voxels: voxels > 3)


def test_what_no_segmentation_may_say_is_refused_and_not_quoted(tmp_path):
    """Valid files whose slices name different studies."""
    series(tmp_path, head(), change=lambda it, at: setattr(it, "StudyInstanceUID", f"1.2.{at}"))
    with pytest.raises(UnreadableScanError, match="its headers lack what one needs") as refused:
        segmentation_of(files_in(tmp_path), lambda voxels: voxels > 3)
    assert "without --dicom-seg" in (refused.value.hint or "")
    assert refused.value.__cause__ is None


def test_an_empty_mask_is_an_object_too(tmp_path):
    datasets = series(tmp_path, head())
    _, segmentation = segmentation_of(files_in(tmp_path), lambda voxels: voxels > 1e6)
    assert not planes_of(segmentation, datasets).any()


def test_nothing_about_the_patient_is_in_it(tmp_path):
    series(tmp_path, head())
    content, segmentation = segmentation_of(files_in(tmp_path), lambda voxels: voxels > -1000)
    assert not [secret for secret in SECRETS.values() if secret.encode() in content]
    for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
        assert not segmentation.get(name)


def test_who_it_is_stays_where_that_is_asked_for(tmp_path):
    series(tmp_path, head())
    _, segmentation = segmentation_of(
        files_in(tmp_path), lambda voxels: voxels > -1000, keep_identifiers=True
    )
    for name in ("PatientName", "PatientID", "PatientBirthDate", "StudyDate", "AccessionNumber"):
        assert segmentation.get(name) == SECRETS[name]


def test_it_says_what_made_it(tmp_path):
    series(tmp_path, head())
    _, segmentation = segmentation_of(files_in(tmp_path), lambda voxels: voxels > -1000)
    [segment] = segmentation.SegmentSequence
    assert (segment.SegmentLabel, segment.SegmentAlgorithmType) == ("anomaly", "AUTOMATIC")
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmName == "blur (tiny)"
    assert segmentation.Modality == "SEG"


def test_an_image_that_lies_nowhere_can_have_none(tmp_path):
    path = saved(with_pixels(base(modality="DX"), head()[0]), tmp_path / "dx.dcm")
    with pytest.raises(UnreadableScanError, match="no position in space"):
        segmentation_of([path], lambda voxels: voxels > 3)


def test_without_highdicom_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(dicom_seg, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError) as caught:
        dicom_seg.check_extra()
    assert "uad[dicom-seg]" in caught.value.hint
