"""DICOM series → Volume: slices in order, axes towards S, P, L; values of the scanner.

Headers first, all of them, so that a series is refused before any pixel is read; then file by
file, each read once.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from infer.digest import digest, digest_of_all
from infer.errors import UnreadableScanError
from infer.readers.choice import USUAL, Choice
from infer.readers.dicom_frame import TAGS, frames_of
from infer.readers.dicom_header import dataset_in, header_of
from infer.readers.dicom_pixels import values
from infer.readers.dicom_stack import Stack, stack
from infer.readers.nifti import orientation
from infer.volume import Grid, Volume

_BITS_OF_A_PICTURE = 8
_LONGEST_IN_NIFTI_1 = 2**15 - 1
_RIGHT_ANGLE = 1e-3  # cosine: less than a tenth of a degree off


def stack_of(files: Sequence[Path]) -> Stack:
    """The slices of a series in order, by its headers alone, however many.

    Raises:
        UnreadableScanError: they are not one volume; the message says why.
    """
    return stack([frame for file in files for frame in frames_of(header_of(file, TAGS), file)])


def open_stack(files: Sequence[Path], choice: Choice = USUAL) -> Stack:
    """The same of a series that may be read.

    Raises:
        UnreadableScanError: likewise, or it is too large.
    """
    opened = stack_of(files)
    choice.refuse_large("the series", opened.shape, colours=opened.colours)
    columns, rows, _ = opened.shape
    for file, frames in opened.files.items():  # more, if slices are there twice: it is read whole
        choice.refuse_large(file.name, (columns, rows, len(frames)), colours=opened.colours)
    return opened


def read(files: Sequence[Path], choice: Choice = USUAL) -> tuple[Volume, str]:
    """A series in memory, and the digest of its files.

    Raises:
        UnreadableScanError: it is damaged, not one volume, or too large.
    """
    opened = open_stack(files, choice)
    columns, rows, slices = opened.shape
    pixels = np.empty((slices, rows, columns, opened.colours), np.float32)
    filled = np.zeros(slices, bool)
    digests = []
    for file, frames in opened.files.items():
        content = file.read_bytes()
        digests.append(digest(content))
        dataset = dataset_in(io.BytesIO(content), file.name)
        del content  # of a large multi-frame file, one copy is enough
        found = values(dataset, [frame for _, frame in frames], file.name)
        for (at, _), picture in zip(frames, found, strict=True):
            _put(picture.reshape(pixels.shape[1:]), pixels, filled, at, file.name)
    return _volume(opened, pixels.transpose(3, 2, 1, 0)), digest_of_all(digests)


def _put(picture: np.ndarray, pixels: np.ndarray, filled: np.ndarray, at: int, name: str) -> None:
    """Lay a slice in its place; one that is there already must be equal."""
    if not np.isfinite(picture).all():
        raise UnreadableScanError(
            f"{name} holds values that are not finite numbers once they are rescaled"
        )
    if not filled[at]:
        pixels[at] = picture
        filled[at] = True
    elif not np.array_equal(pixels[at], picture):
        raise UnreadableScanError(
            f"the series holds different images at the same position ({name} and another): "
            "several volumes in one (phases, echoes, directions), or a series that was changed",
            hint="export each volume as a series of its own",
        )


def _volume(opened: Stack, stored: np.ndarray) -> Volume:
    """`stored`: (colour, column, row, slice)."""
    first = opened.slices[0][0]
    axes, flipped = (2, 1, 0), (False, False, False)  # of an image that lies nowhere: upright
    if opened.affine is not None:
        axes, flipped = orientation(opened.affine, first.file.name)  # type: ignore[assignment]
    grid = Grid(shape=opened.shape, axes=axes, flipped=flipped, header=_nifti_header(opened))
    one = len(stored) == 1  # then without a copy
    voxels = (
        grid.from_file(stored[0])[np.newaxis]
        if one
        else np.stack([grid.from_file(colour) for colour in stored])
    )
    # A picture has its white, as an exported one has; all others hold what the scanner measured.
    # Colours are no quantities, wherever they lie: a screenshot may have the position of its slice.
    is_picture = first.colours > 1 or (
        opened.affine is None
        and first.bits <= _BITS_OF_A_PICTURE
        and (first.slope, first.intercept) == (1, 0)
    )
    if is_picture:
        voxels /= np.float32(2 ** (_BITS_OF_A_PICTURE if first.colours > 1 else first.bits) - 1)
    spacing_mm = opened.spacing_mm
    return Volume(
        voxels=voxels,
        unit="display" if is_picture else "modality",
        spacing_mm=None if spacing_mm is None else tuple(spacing_mm[axis] for axis in axes),
        grid=grid,
        warnings=opened.warnings,
        modality=first.modality,
    )


def _nifti_header(opened: Stack) -> Any:
    """Of the NIfTI file whose voxels lie where those of the series lie, in mm."""
    import nibabel

    long = max(opened.shape) > _LONGEST_IN_NIFTI_1
    kind: Any = nibabel.Nifti2Header if long else nibabel.Nifti1Header
    header = kind()
    header.set_data_shape(opened.shape)
    header.set_xyzt_units("mm")
    if opened.affine is None:
        spacing = opened.slices[0][0].spacing or (1.0, 1.0)
        header.set_zooms((spacing[1], spacing[0], 1.0))
        return header
    sides = np.linalg.norm(opened.affine[:3, :3], axis=0)
    header.set_zooms(sides)
    header.set_sform(opened.affine, code="scanner")
    directions = opened.affine[:3, :3] / sides
    # A quaternion cannot hold a shear: of a tilted stack, half a truth would be an error.
    if np.abs(directions.T @ directions - np.eye(3)).max() < _RIGHT_ANGLE:
        header.set_qform(opened.affine, code="scanner")
    return header
