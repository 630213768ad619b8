"""Small DICOM files for tests, each with a patient's name that must not be seen again."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

SECRETS = {
    "PatientName": "Kowalczyk^Zbigniew",
    "PatientID": "PID-7741903",
    "PatientBirthDate": "19471103",
    "PatientAddress": "Hollyhock Lane 12",
    "OtherPatientNames": "Kowalski^Zbyszek",
    "OtherPatientIDs": "OLD-559817",
    "AccessionNumber": "ACC3391",
    "ReferringPhysicianName": "Quackenbush^Ada",
    "PerformingPhysicianName": "Sawbones^Leonard",
    "OperatorsName": "Tech^Nick",
    "InstitutionName": "Saint Elsewhere",
    "InstitutionAddress": "Elm Street 1428",
    "StationName": "SCANNER77X",
    "StudyDate": "20190823",
    "StudyTime": "143355",
    "SeriesDate": "20190824",
    "AcquisitionDate": "20190825",
    "ContentDate": "20190826",
    "StudyID": "STUDY-8842",
    "StudyDescription": "Zbigniew head",
    "SeriesDescription": "Kowalczyk axial",
    "PatientComments": "likes hollyhocks",
    "ImageComments": "seen by Quackenbush",
    "ProtocolName": "kowalczyk protocol",
    "DeviceSerialNumber": "SERIAL-20718",
    "MedicalRecordLocator": "LOCATOR-661",
    "PatientTelephoneNumbers": "555-0173",
}
AXIAL = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))
CORONAL = ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0))


def head(*, shape=(5, 12, 10), seed=0):
    """Slices (slice, row, column) of stored values, no two voxels of a slice alike."""
    rng = np.random.default_rng(seed)
    return np.stack(
        [rng.permutation(shape[1] * shape[2]).reshape(shape[1:]) for _ in range(shape[0])]
    )


def base(*, sop_class=CTImageStorage, modality="CT", series=None, study=None, number=3):
    """A header without geometry or pixels."""
    dataset = Dataset()
    for tag, value in SECRETS.items():
        setattr(dataset, tag, value)
    dataset.PatientSex = "M"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = study or generate_uid()
    dataset.SeriesInstanceUID = series or generate_uid()
    dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=[dataset.StudyInstanceUID])
    dataset.SeriesNumber = number
    dataset.Modality = modality
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.Manufacturer = "Maker"
    return dataset


def with_pixels(dataset, pixels, *, bits=16, signed=False, photometric="MONOCHROME2"):
    """The header with one plane `(row, column)` or several `(frame, row, column)` of pixels."""
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 if bits <= 8 else 16
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    kind = ("i" if signed else "u") + str(dataset.BitsAllocated // 8)
    dataset.PixelData = pixels.astype(f"<{kind}").tobytes()
    if len(dataset.PixelData) % 2:
        dataset.PixelData += b"\0"
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 else "OB"
    return dataset


def saved(dataset, path: Path, *, syntax=None) -> Path:
    """Write a file, compressed if a transfer syntax is given."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    if syntax is not None:
        dataset.compress(syntax, generate_instance_uid=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def series(
    folder: Path,
    stored,
    *,
    positions=None,
    directions=AXIAL,
    pixel_mm=(0.5, 0.75),
    step_mm=3.0,
    slope=1,
    intercept=-1024,
    modality="CT",
    syntax=None,
    name="IM{:03}",
    change=None,
    **header,
):
    """Write one file per slice, in no order of names; the datasets in the order of `stored`.

    `change(dataset, at)` may alter each before it is written.
    """
    row, column = np.array(directions)
    normal = np.cross(row, column)
    if positions is None:
        positions = [
            np.array([-20.0, -30.0, 40.0]) + at * step_mm * normal for at in range(len(stored))
        ]
    folder.mkdir(parents=True, exist_ok=True)
    names = np.random.default_rng(1).permutation(len(stored))
    uid, study = header.pop("series", None) or generate_uid(), generate_uid()
    header.setdefault("sop_class", MRImageStorage if modality == "MR" else CTImageStorage)
    pixels = {key: header.pop(key) for key in ("bits", "signed", "photometric") if key in header}
    datasets = []
    for at, (plane, position) in enumerate(zip(stored, positions, strict=True)):
        dataset = base(modality=modality, series=uid, study=study, **header)
        dataset.ImagePositionPatient = [round(float(x), 6) for x in position]
        dataset.ImageOrientationPatient = [*row.tolist(), *column.tolist()]
        dataset.PixelSpacing = list(pixel_mm)
        dataset.SliceThickness = step_mm
        dataset.InstanceNumber = at + 1
        if slope is not None:
            dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        with_pixels(dataset, np.asarray(plane), **pixels)
        if change is not None:
            change(dataset, at)
        saved(dataset, folder / name.format(names[at]), syntax=syntax)
        datasets.append(dataset)
    return datasets


def enhanced(
    path: Path, stored, *, slopes=None, step_mm=3.0, order=None, syntax=None, series=None, start=0
):
    """Write one enhanced MR file; frames lie in the file in `order`, slice `start` lowest."""
    count = len(stored)
    order = list(range(count)) if order is None else order
    dataset = base(sop_class=EnhancedMRImageStorage, modality="MR", series=series)
    with_pixels(dataset, stored[order])
    dataset.NumberOfFrames = count
    shared = Dataset()
    shared.PlaneOrientationSequence = Sequence([Dataset()])
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence = Sequence([Dataset()])
    shared.PixelMeasuresSequence[0].PixelSpacing = [0.5, 0.75]
    shared.PixelMeasuresSequence[0].SliceThickness = step_mm
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for at in order:
        frame = Dataset()
        frame.PlanePositionSequence = Sequence([Dataset()])
        frame.PlanePositionSequence[0].ImagePositionPatient = [
            -20,
            -30,
            40 + (start + at) * step_mm,
        ]
        frame.PixelValueTransformationSequence = Sequence([Dataset()])
        frame.PixelValueTransformationSequence[0].RescaleSlope = 1 if slopes is None else slopes[at]
        frame.PixelValueTransformationSequence[0].RescaleIntercept = 0
        frame.PixelValueTransformationSequence[0].RescaleType = "US"
        frame.FrameContentSequence = Sequence([Dataset()])
        frame.FrameContentSequence[0].StackID = "1"
        frame.FrameContentSequence[0].InStackPositionNumber = at + 1
        frame.FrameContentSequence[0].DimensionIndexValues = [1, at + 1]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = Sequence(frames)
    saved(dataset, path, syntax=syntax)
    return dataset
