"""A frame: one image of a DICOM file, where it lies and what its stored values mean.

An ordinary file holds one; an enhanced multi-frame file holds many, each described in the file's
functional groups (DICOM PS3.3 C.7.6.16). Both give the same record here.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.errors import UnreadableScanError
from infer.readers.dicom_header import Dataset, reading

# What is read of a header: nothing in it names a patient.
TAGS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "Modality",
    "ImageType",
    "FrameOfReferenceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ImagerPixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "RescaleSlope",
    "RescaleIntercept",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

# Modalities whose rescaled values are quantities (HU, activity): what MONOCHROME1 says of them
# concerns a display, not the values.
_QUANTITIES = ("CT", "PT")
# Objects with pixels that are results on other images, not images (DICOM PS3.4 B.5).
_NO_SCANS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "a segmentation",
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image of a file; lengths in mm, directions and positions towards L, P, S."""

    file: Path
    index: int  # in the file, from 0
    rows: int
    columns: int
    colours: int  # 1, or red, green and blue
    bits: int  # of a stored value
    position: tuple[float, ...] | None  # of the centre of the first pixel
    along_row: tuple[float, ...] | None
    along_column: tuple[float, ...] | None
    spacing: tuple[float, float] | None  # between rows, between columns
    thickness: float | None
    slope: float
    intercept: float
    inverted: bool  # the lowest value is meant to be white
    localiser: bool
    reference: str  # the frame of reference that positions are measured in
    modality: str


def frames_of(header: Dataset, file: Path) -> list[Frame]:
    """The frames of a file, by its header (all of `TAGS` that it has).

    Raises:
        UnreadableScanError: it holds no image, or says something impossible of it.
    """
    with reading(file.name):
        _check(header, file.name)
        return list(_frames(header, file))


def frame_count(header: Dataset) -> int:
    """How many frames a file claims to hold."""
    return int(header.get("NumberOfFrames") or 1)


def _check(header: Dataset, name: str) -> None:
    if what := _NO_SCANS.get(str(header.get("SOPClassUID", ""))):
        raise UnreadableScanError(f"{name} is {what}, not a scan")
    sizes = [int(header.get(tag) or 0) for tag in ("Rows", "Columns", "BitsAllocated")]
    if min(sizes) < 1:
        raise UnreadableScanError(
            f"{name} has no pixel data: a report, a presentation or a plan, not a scan"
        )
    if (frames := frame_count(header)) < 1:
        raise UnreadableScanError(f"{name} has no voxels (it claims {frames} frames)")
    colours = int(header.get("SamplesPerPixel") or 1)
    if (colours, sizes[2]) not in ((1, 8), (1, 16), (1, 32), (3, 8)):
        raise UnreadableScanError(
            f"{name} stores {colours} values of {sizes[2]} bits for each pixel, "
            "which is no scan known here"
        )
    bits, high = int(header.get("BitsStored") or sizes[2]), header.get("HighBit")
    if high is not None and int(high) != bits - 1:
        raise UnreadableScanError(
            f"{name} stores its {bits} bits up to bit {high} of each value, not up to bit "
            f"{bits - 1}: DICOM has retired that, and decoders read other values",
            hint="export it again, or convert it with a tool that moves the bits",
        )


def _frames(header: Dataset, file: Path) -> Iterator[Frame]:
    count = frame_count(header)
    shared = _first(header.get("SharedFunctionalGroupsSequence"))
    each = header.get("PerFrameFunctionalGroupsSequence") or []
    if not each and count > 1:  # before there is a record for each that the header claims
        raise UnreadableScanError(
            f"{file.name} gives no position in space for its {count:,} frames: a film, or slices "
            "that nobody can sort",
            hint="export its frames as images, or as a volume with positions",
        )
    if each and len(each) != count:
        raise UnreadableScanError(
            f"{file.name} holds {count} frames, but describes {len(each)}",
            hint="its header may be damaged: export it again",
        )
    for index in range(count):
        own = each[index] if each else None

        def find(group: str, tag: str, own: Dataset = own) -> Any:
            """A value of this frame, of all frames, or of the file as a whole, in this order."""
            for groups in (own, shared):
                item = None if groups is None else _first(groups.get(group))
                if item is not None and item.get(tag) is not None:
                    return item.get(tag)
            # What an ordinary header says of its one image says nothing of several.
            return header.get(tag) if count == 1 or not group.startswith("Plane") else None

        yield _frame(header, file, index, find)


def _frame(header: Dataset, file: Path, index: int, find: Callable[[str, str], Any]) -> Frame:
    position = _numbers(find("PlanePositionSequence", "ImagePositionPatient"), 3)
    directions = _numbers(find("PlaneOrientationSequence", "ImageOrientationPatient"), 6)
    spacing = _numbers(find("PixelMeasuresSequence", "PixelSpacing"), 2)
    if position is None or directions is None:
        position = directions = None  # either is worth nothing alone
        spacing = spacing or _numbers(header.get("ImagerPixelSpacing"), 2)
    thickness = _number(find("PixelMeasuresSequence", "SpacingBetweenSlices"))
    if not thickness:
        thickness = _number(find("PixelMeasuresSequence", "SliceThickness"))
    slope = _number(find("PixelValueTransformationSequence", "RescaleSlope"))
    intercept = _number(find("PixelValueTransformationSequence", "RescaleIntercept"))
    if slope == 0:
        raise UnreadableScanError(
            f"{file.name} makes all of its voxels alike: its rescale slope is 0",
            hint="its header may be damaged: export it again",
        )
    modality = str(header.get("Modality") or "")
    photometric = str(header.get("PhotometricInterpretation") or "")
    kind = [str(word).upper() for word in _several(header.get("ImageType"))]
    return Frame(
        file=file,
        index=index,
        rows=int(header.Rows),
        columns=int(header.Columns),
        colours=3 if photometric == "PALETTE COLOR" else int(header.get("SamplesPerPixel") or 1),
        bits=int(header.get("BitsStored") or header.BitsAllocated),
        position=position,
        along_row=directions and directions[:3],
        along_column=directions and directions[3:],
        spacing=(spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None,
        thickness=abs(thickness) if thickness else None,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        inverted=photometric == "MONOCHROME1" and modality not in _QUANTITIES,
        localiser="LOCALIZER" in kind,
        reference=str(header.get("FrameOfReferenceUID") or ""),
        modality=modality,
    )


def _first(sequence: Any) -> Any:
    return sequence[0] if sequence else None


def _several(value: Any) -> list[Any]:
    """One value, several or none, as pydicom gives them."""
    if value is None or isinstance(value, str):
        return [value] if value else []
    try:
        return list(value)
    except TypeError:
        return [value]


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    """As many finite numbers as there must be, or None."""
    numbers = tuple(float(number) for number in _several(value))
    return numbers if len(numbers) == count and all(map(math.isfinite, numbers)) else None


def _number(value: Any) -> float | None:
    found = _numbers(value, 1)
    return found[0] if found else None
