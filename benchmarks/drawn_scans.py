"""Heads to measure with, as volumes and as DICOM series: drawn, since none may be downloaded."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from infer.phantom import head_volume

DRAWN = 4  # different heads: drawing one takes seconds
PACKING = 6  # of gzip: what converters of scanners' files choose
STORED_ZERO_HU = 1024


def draw_volumes(
    folder: Path, count: int, shape: tuple[int, int, int], *, noise_hu: float = 0.0
) -> list[Path]:
    """Volumes `shape` (depth, height, width) as .nii.gz, stored towards L, A, S in int16.

    `noise_hu` is the standard deviation of noise beyond that of the phantom: the more of it, the
    less a file can be packed, and the longer it takes to inflate.
    """
    folder.mkdir(parents=True)
    paths = [folder / f"{at:05}.nii.gz" for at in range(count)]
    for at, path in enumerate(paths):
        if at < DRAWN:
            path.write_bytes(gzip.compress(_nifti(at, shape, noise_hu), PACKING))
        else:  # under a name of its own, which is all that a scan is known by
            path.hardlink_to(paths[at % DRAWN])
    return paths


def draw_series(folder: Path, count: int, shape: tuple[int, int, int]) -> list[Path]:
    """Series of axial CT slices, a folder each, in int16, uncompressed."""
    head = head_volume(0, shape=shape, lesions=("bleed",))
    stored = np.round(head.voxels_hu).astype(np.int16) + np.int16(STORED_ZERO_HU)
    return [
        _write_series(
            folder / f"{at:05}", np.roll(stored, at, axis=2) + np.int16(at), head.spacing_mm
        )
        for at in range(count)
    ]


def _nifti(seed: int, shape: tuple[int, int, int], noise_hu: float) -> bytes:
    head = head_volume(seed, shape=shape, lesions=("bleed",) if seed % 2 else ())
    drawn = head.voxels_hu + np.random.default_rng(seed).normal(0, noise_hu, shape)
    voxels = np.round(drawn).astype(np.int16).transpose(2, 1, 0)[:, ::-1]
    depth_mm, row_mm, column_mm = head.spacing_mm
    affine = np.diag([-column_mm, row_mm, depth_mm, 1.0])
    whole: bytes = nibabel.Nifti1Image(voxels, affine).to_bytes()  # type: ignore[no-untyped-call]
    return whole


def _write_series(folder: Path, stored: np.ndarray, spacing_mm: Sequence[float]) -> Path:
    folder.mkdir(parents=True)
    series, frame = generate_uid(), generate_uid()
    for at, plane in enumerate(stored):
        dataset = _header(plane, spacing_mm, at)
        dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = series, frame
        dataset.save_as(folder / f"{at:05}.dcm", enforce_file_format=True)
    return folder


def _header(plane: np.ndarray, spacing_mm: Sequence[float], at: int) -> Dataset:
    """One slice with its pixels."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CTImageStorage
    instance = generate_uid()
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = instance
    dataset.StudyInstanceUID = generate_uid()
    dataset.Modality = "CT"
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, round(at * spacing_mm[0], 6)]
    dataset.PixelSpacing = [round(side, 6) for side in spacing_mm[1:]]
    dataset.SliceThickness = round(spacing_mm[0], 6)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, -STORED_ZERO_HU
    dataset.Rows, dataset.Columns = plane.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 1
    dataset.PixelData = plane.astype("<i2").tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset
