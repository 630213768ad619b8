"""Frames → a stack: sorted along their common normal, checked, with one affine for all.

Where no single affine fits (uneven spacing, missing slices), slices are still what they are: each
is scored as it was taken, and a warning says by how much the affine misses them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.dicom_frame import Frame

# Closer than this, two slices claim the same place; scanners give positions to 0.001 mm.
SAME_PLACE_MM = 0.01
# Directions are cosines, often rounded to four digits; half a degree makes 0.009.
SAME_DIRECTION = 0.01
# Below this tilt, the shear moves no slice of a head by a voxel.
TILT_DEGREES = 0.5
# A slice may miss its place in an even stack by this share of the spacing.
UNEVEN = 0.1

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Slices in order; axes of the grid are (column, row, slice)."""

    slices: tuple[tuple[Frame, ...], ...]  # at each place one frame, or several that must agree
    affine: np.ndarray | None  # voxel → mm towards R, A, S; None: the image gives no position
    spacing_mm: tuple[float, float, float] | None  # between columns, rows and planes
    warnings: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        first = self.slices[0][0]
        return first.columns, first.rows, len(self.slices)

    @property
    def colours(self) -> int:
        """1, or red, green and blue."""
        return self.slices[0][0].colours

    @property
    def files(self) -> Mapping[Path, Sequence[tuple[int, Frame]]]:
        """File → its frames, each with its place in the stack: a file is read once."""
        places: dict[Path, list[tuple[int, Frame]]] = {}
        for at, frames in enumerate(self.slices):
            for frame in frames:
                places.setdefault(frame.file, []).append((at, frame))
        return places


def stack(frames: Sequence[Frame]) -> Stack:
    """Sort and check the frames of one series; headers suffice for it.

    Raises:
        UnreadableScanError: they are not slices of one volume; the message says why.
    """
    _refuse_localiser(frames)
    _refuse_different(frames)
    if any(frame.position is None for frame in frames):
        return _picture(frames)
    _refuse_mixed_directions(frames)
    first = frames[0]
    normal = np.cross(_vector(first.along_row), _vector(first.along_column))
    at = {id(frame): float(_vector(frame.position) @ normal) for frame in frames}
    ordered = sorted(frames, key=lambda frame: (at[id(frame)], str(frame.file), frame.index))
    slices: list[list[Frame]] = [[ordered[0]]]
    for frame in ordered[1:]:
        if at[id(frame)] - at[id(slices[-1][0])] < SAME_PLACE_MM:
            slices[-1].append(frame)
        else:
            slices.append([frame])
    positions = np.array([each[0].position for each in slices])
    affine, spacing_mm = _geometry(first, positions, normal)
    return Stack(
        slices=tuple(tuple(each) for each in slices),
        affine=affine,
        spacing_mm=spacing_mm,
        warnings=_warnings(positions, normal, first, len(frames) - len(slices)),
    )


def _refuse_localiser(frames: Sequence[Frame]) -> None:
    found = sum(frame.localiser for frame in frames)
    if found == len(frames):
        raise UnreadableScanError("the series is a localiser (scout), not a scan")
    if found:
        raise UnreadableScanError(
            f"the series mixes {len(frames) - found} slices with {found} localisers (scouts)",
            hint="move the localisers to a series or folder of their own",
        )


def _refuse_different(frames: Sequence[Frame]) -> None:
    sizes = Counter(f"{frame.columns} × {frame.rows}" for frame in frames)
    if len(sizes) > 1:
        raise UnreadableScanError(
            f"the series mixes slices of different sizes ({_counted(sizes)}), not one volume"
        )
    spacings = np.array([frame.spacing or (0, 0) for frame in frames])
    if np.ptp(spacings, axis=0).max() > 1e-3 * max(spacings.max(), 1e-6):
        raise UnreadableScanError(
            "the series mixes slices of different pixel spacing, not one volume"
        )
    if len({frame.reference for frame in frames}) > 1:
        raise UnreadableScanError(
            "the slices of the series lie in different frames of reference: "
            "their positions cannot be compared"
        )
    if len(colours := {frame.colours for frame in frames}) > 1 or (
        len(frames) > 1 and colours != {1}
    ):
        raise UnreadableScanError(
            f"the series holds {len(frames)} colour images, not one volume",
            hint="export the image to score as a file of its own",
        )


def _refuse_mixed_directions(frames: Sequence[Frame]) -> None:
    rows = np.array([frame.along_row for frame in frames])
    columns = np.array([frame.along_column for frame in frames])
    lengths = np.linalg.norm(np.concatenate([rows, columns]), axis=1)
    if (
        np.abs(lengths - 1).max() > SAME_DIRECTION
        or np.abs((rows * columns).sum(axis=1)).max() > SAME_DIRECTION
    ):
        raise UnreadableScanError(
            "the series does not say how its slices lie in space: "
            "their directions are not at right angles, or not of length 1",
            hint="export it again with a valid Image Orientation (Patient)",
        )
    if any(frame.spacing is None for frame in frames):
        raise UnreadableScanError("the series does not say how large its pixels are")
    turned = np.maximum(
        np.abs(rows - rows[0]).max(axis=1), np.abs(columns - columns[0]).max(axis=1)
    )
    if (turned > SAME_DIRECTION).any():
        kinds = Counter(
            str((np.round(row, 1) + 0.0).tolist() + (np.round(column, 1) + 0.0).tolist())
            for row, column in zip(rows, columns, strict=True)
        )
        raise UnreadableScanError(
            f"the series mixes slices of different orientation ({max(len(kinds), 2)} kinds among "
            f"{len(frames)} slices): a localiser, or several scans in one",
            hint="export each orientation as a series of its own",
        )


def _picture(frames: Sequence[Frame]) -> Stack:
    """One image that lies nowhere: a radiograph, an ultrasound picture."""
    without = sum(frame.position is None for frame in frames)
    if len(frames) > 1:
        raise UnreadableScanError(
            f"the series gives no position in space for {without} of its {len(frames)} images: "
            "a film, or slices that nobody can sort",
            hint="export it again with Image Position and Orientation (Patient)",
        )
    return Stack(slices=((frames[0],),), affine=None, spacing_mm=None, warnings=())


def _geometry(
    first: Frame, positions: np.ndarray, normal: np.ndarray
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """The affine through the first and the last slice, and the spacing along its axes."""
    if first.spacing is None:
        raise RuntimeError("spacing is checked before")
    between_rows, between_columns = first.spacing
    if len(positions) > 1:
        step = (positions[-1] - positions[0]) / (len(positions) - 1)
    else:
        step = normal * (first.thickness or 1.0)
    affine = np.eye(4)
    affine[:3, 0] = _LPS_TO_RAS @ (_vector(first.along_row) * between_columns)
    affine[:3, 1] = _LPS_TO_RAS @ (_vector(first.along_column) * between_rows)
    affine[:3, 2] = _LPS_TO_RAS @ step
    affine[:3, 3] = _LPS_TO_RAS @ positions[0]
    # Across the planes, not along a tilted table: then the product is a voxel's volume.
    return affine, (between_columns, between_rows, abs(float(step @ normal)))


def _warnings(
    positions: np.ndarray, normal: np.ndarray, first: Frame, doubles: int
) -> tuple[str, ...]:
    warnings = []
    if doubles:
        warnings.append(f"{doubles} slices are there twice and equal: each was scored once")
    if len(positions) < 2:
        if first.thickness is None:
            warnings.append(
                "it does not say how thick its slice is: the mask's affine and volumes in ml take "
                "1 mm"
            )
        return tuple(warnings)
    whole = positions[-1] - positions[0]
    heights = (positions - positions[0]) @ normal
    cosine = min(1.0, float(heights[-1] / np.linalg.norm(whole)))
    if (tilt := float(np.degrees(np.arccos(cosine)))) > TILT_DEGREES:
        warnings.append(
            f"the gantry was tilted by {tilt:.1f}°: slices are scored as they were taken, and the "
            "mask's affine is sheared (sform; there is no qform)"
        )
    warnings += _spacing_warnings(np.diff(heights))
    line = positions[0] + np.outer(heights / heights[-1], whole)
    shift = float(np.linalg.norm(positions - line, axis=1).max())
    if shift > UNEVEN * min(first.spacing or (1.0, 1.0)):
        warnings.append(
            f"slices are shifted against each other by up to {shift:.2g} mm, which the mask's "
            "affine does not show"
        )
    return tuple(warnings)


def _spacing_warnings(gaps: np.ndarray) -> list[str]:
    mean = gaps.mean()
    even = mean * np.arange(len(gaps) + 1)
    missed_mm = np.abs(np.concatenate([[0], np.cumsum(gaps)]) - even).max()
    usual = float(np.median(gaps))
    steps = np.round(gaps / usual)
    is_multiple = np.abs(gaps / usual - steps) <= UNEVEN * np.maximum(steps, 1)
    approximate = (
        f"the mask's affine and volumes in ml take {mean:.3g} mm throughout, which puts slices up "
        f"to {missed_mm:.2g} mm off"
    )
    if (steps >= 1).all() and is_multiple.all() and (steps > 1).any():
        missing = int((steps - 1).sum())
        return [f"{missing} slices seem to be missing (spacing {usual:.3g} mm): {approximate}"]
    if missed_mm > UNEVEN * usual or np.abs(gaps - usual).max() > UNEVEN * usual:
        return [
            f"slices are unevenly spaced, {gaps.min():.3g} to {gaps.max():.3g} mm: {approximate}"
        ]
    return []


def _counted(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} of {kind}" for kind, count in kinds.most_common(3))


def _vector(numbers: tuple[float, ...] | None) -> np.ndarray:
    if numbers is None:
        raise RuntimeError("geometry is checked before")
    return np.array(numbers)
