"""Masks of DICOM series → DICOM Segmentation objects that lie on the series' own slices.

Of the source, only what places the mask is read: the identifiers of study, series and images, and
their geometry. So nothing about the patient can reach the object, unless the user asks for it.
"""

import contextlib
import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import infer
from infer.errors import MissingExtraError, UnreadableScanError
from infer.manifest import Manifest
from infer.readers.dicom import stack_of
from infer.readers.dicom_frame import TAGS
from infer.readers.dicom_header import header_of, silence
from infer.readers.dicom_stack import Stack
from infer.shapes import Mask
from infer.volume import Volume

# What must be in the object and may be empty (DICOM PS3.3 C.7.1.1, C.7.2.1).
_IDENTIFIERS = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_PLACE = (*TAGS, "StudyInstanceUID", "InstanceNumber", "PositionReferenceIndicator")
_SERIES_NUMBER = 9000  # beyond those of scanners


def check_extra() -> None:
    """See that what writes these objects is installed.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("highdicom") is None:
        raise MissingExtraError(
            "--dicom-seg needs highdicom, which is not installed",
            hint="pip install 'uad[dicom-seg]'",
        )


def encode_segmentation(
    mask: Mask,
    volume: Volume,
    series: Sequence[Path],
    manifest: Manifest,
    *,
    keep_identifiers: bool,
) -> bytes:
    """A DICOM file: one segment, where the mask is, on the slices of `series`.

    Raises:
        UnreadableScanError: the series gives no positions, or is no longer what it was.
    """
    stacked = stack_of(series)
    if stacked.affine is None:
        raise UnreadableScanError(
            "it gives no position in space, so no DICOM Segmentation can be laid over it",
            hint="score it without --dicom-seg",
        )
    if stacked.shape != volume.grid.shape:
        raise UnreadableScanError("its files were changed while it was scored")
    planes = np.asarray(volume.grid.to_file(mask)).transpose(2, 1, 0)  # slice, row, column
    sources, planes = _sources(stacked, planes, keep_identifiers=keep_identifiers)
    silence("highdicom")
    with _in_words():
        _agree(sources, stacked)
        segmentation = _segmentation(sources, planes, manifest)
        target = io.BytesIO()
        segmentation.save_as(target)
    return target.getvalue()


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """What highdicom has against headers that could be read, without quoting them."""
    try:
        yield
    except (UnreadableScanError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableScanError(
            f"no DICOM Segmentation can be laid over it: its headers lack what one needs, or say "
            f"what none may ({type(error).__name__})",
            hint="score it without --dicom-seg, or without --keep-identifiers if that was given",
        ) from None


def _sources(
    stacked: Stack, planes: np.ndarray, *, keep_identifiers: bool
) -> tuple[list[Any], np.ndarray]:
    """The source's headers, and the mask's planes in the order of their frames."""
    frames = [each[0] for each in stacked.slices]
    files = list(dict.fromkeys(frame.file for frame in frames))
    tags = None if keep_identifiers else _PLACE
    headers = [header_of(file, tags) for file in files]
    for header in headers:
        for name in _IDENTIFIERS:
            if name not in header:
                setattr(header, name, "")
    enhanced = any("PerFrameFunctionalGroupsSequence" in header for header in headers)
    if len(files) == len(frames) and not (enhanced and len(files) > 1):
        return headers, planes
    if len(files) > 1:
        raise UnreadableScanError(
            "it is spread over several multi-frame files, which no DICOM Segmentation can refer to",
            hint="score it without --dicom-seg",
        )
    ordered = np.zeros((int(headers[0].NumberOfFrames), *planes.shape[1:]), planes.dtype)
    ordered[[frame.index for frame in frames]] = planes
    return headers, ordered


def _agree(headers: Sequence[Any], stacked: Stack) -> None:
    """Bring what the reader takes for equal to be equal, and name what it can do without.

    Orientations that differ by rounding count as one there (`dicom_stack.SAME_DIRECTION`), and
    those of frames as that of their file; highdicom compares all digits, and looks in one place.
    """
    from pydicom.uid import generate_uid

    first, reference = headers[0], generate_uid()
    for header in headers:
        if "ImageOrientationPatient" in header:
            header.ImageOrientationPatient = first.ImageOrientationPatient
        if not header.get("SliceThickness") and stacked.spacing_mm is not None:
            header.SliceThickness = stacked.spacing_mm[2]  # a mask's voxels leave no gap
        if not header.get("FrameOfReferenceUID"):
            header.FrameOfReferenceUID = reference
        for shared in header.get("SharedFunctionalGroupsSequence") or ():
            for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
                own = header.PerFrameFunctionalGroupsSequence[0]
                if name not in shared and name in own:
                    setattr(shared, name, own[name].value)


def _segmentation(sources: list[Any], planes: np.ndarray, manifest: Manifest) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    algorithm = AlgorithmIdentificationSequence(
        name=f"{manifest.method} ({manifest.study})",
        version=infer.__version__,
        family=codes.DCM.ArtificialIntelligence,
    )
    segment = SegmentDescription(
        segment_number=1,
        segment_label="anomaly",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
    )
    return Segmentation(
        source_images=sources,
        pixel_array=planes.astype(np.uint8),
        segmentation_type="BINARY",
        segment_descriptions=[segment],
        series_instance_uid=generate_uid(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="uad",
        manufacturer_model_name="uad-infer",
        software_versions=infer.__version__,
        device_serial_number=infer.__version__,
        content_label="ANOMALY",
        content_description="Unsupervised anomaly detection, for research",
        series_description="uad anomaly mask",
        omit_empty_frames=bool(planes.any()),
    )
