"""NIfTI files → Volume: axes towards S, P, L; values of the scanner."""

import contextlib
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.choice import USUAL, Choice
from infer.readers.claim import Claim
from infer.readers.nifti_file import Header, files_of, header_of, opened, voxel_offset
from infer.readers.voxel_stream import read_voxels, skip
from infer.volume import Grid, Volume

_MM = {"unknown": 1.0, "mm": 1.0, "meter": 1e3, "micron": 1e-3}
_SHEARED = 1e-4  # of a voxel's volume: more than headers are rounded by
_SAME_SIDE = 0.01  # of a voxel's: what headers are rounded by
# Our axes in nibabel's words, e.g. "from I to S"; see `Volume`.
_OUR_AXES = (("I", "S"), ("A", "P"), ("R", "L"))


def claim_of(path: Path, choice: Choice) -> Claim:
    """What would be read, by the header.

    Raises:
        UnreadableScanError: it is not NIfTI, or not a volume of real numbers.
    """
    return _claim(header_of(path), path.name, choice)


def read(path: Path, choice: Choice = USUAL) -> Volume:
    """The volume, turned so that its axes run towards S, P and L (the closest if oblique).

    Raises:
        UnreadableScanError: it is damaged, not NIfTI, or not one volume of real numbers.
    """
    name, header = path.name, header_of(path)
    claim = _claim(header, name, choice)
    kind = header.get_data_dtype()
    slope, intercept = header.get_slope_inter()
    before = choice.volume if _count(header) > 1 else 0
    volume = math.prod(claim.shape) * kind.itemsize
    with opened(files_of(path)[-1]) as stream:
        skip(stream, voxel_offset(header, name), name)
        skip(stream, before * volume, name)
        voxels = read_voxels(
            stream,
            kind,
            claim.shape,
            slope=1.0 if slope is None else slope,
            intercept=0.0 if intercept is None else intercept,
            order="F",
            name=name,
            further=(_count(header) - 1 - before) * volume,
        )
    return _volume(header, voxels, name, claim.warnings)


def _claim(header: Header, name: str, choice: Choice) -> Claim:
    shape: tuple[int, ...] = tuple(int(length) for length in header.get_data_shape())
    size = " × ".join(f"{length:,}" for length in shape)
    if not shape or min(shape) < 1:
        raise UnreadableScanError(f"{name} has no voxels ({size or 'no axes'})")
    if math.prod(shape[4:]) > 1:
        raise UnreadableScanError(
            f"{name} has {len(shape)} axes ({size}): not one volume but vectors or tensors",
            hint="extract the volume to score",
        )
    if (kind := header.get_data_dtype()).kind not in "iuf":
        raise UnreadableScanError(
            f"{name} holds colours or complex numbers ({kind}), not one number per voxel",
            hint="convert it to a grey volume",
        )
    volume = (*shape[:3], 1, 1)[:3]
    choice.refuse_large(name, volume)
    count = _count(header)
    if 1 < count <= choice.volume:
        raise UnreadableScanError(
            f"{name} has no volume {choice.volume}: it holds {count}, counted from 0",
            hint="choose another --volume",
        )
    orientation(_affine(header, name), name)
    return Claim("NIfTI", volume, str(kind), warnings=_warnings(header, choice.volume))


def _count(header: Header) -> int:
    """How many volumes there are."""
    return math.prod(header.get_data_shape()[3:])


def _volume(header: Header, voxels: np.ndarray, name: str, warnings: tuple[str, ...]) -> Volume:
    affine = _affine(header, name)
    axes, flipped = orientation(affine, name)
    grid = Grid(shape=voxels.shape, axes=axes, flipped=flipped, header=header)
    sides = _spacing(affine[:3, :3]) * _MM[_unit(header)]
    return Volume(
        voxels=grid.from_file(voxels)[np.newaxis],
        unit="modality",
        spacing_mm=tuple(float(sides[axis]) for axis in axes),
        grid=grid,
        warnings=warnings,
    )


def _spacing(axes: np.ndarray) -> np.ndarray:
    """A voxel's length along each axis of the file, so that the product is its volume.

    Of a sheared grid, a scan with a tilted gantry, the third counts across the plane of the first
    two, not along the tilted table: as of DICOM series, where slices run along the third.
    """
    lengths: np.ndarray = np.sqrt((axes**2).sum(axis=0))
    whole = float(np.prod(lengths))
    if whole - abs(np.linalg.det(axes)) <= _SHEARED * whole:
        return lengths
    return np.asarray(np.abs(np.diag(np.linalg.qr(axes)[1])))


def orientation(affine: np.ndarray, name: str) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Which file axis runs along each of ours, and whether it runs backwards."""
    from nibabel.orientations import aff2axcodes

    try:
        codes = aff2axcodes(affine)  # type: ignore[no-untyped-call]
    except (np.linalg.LinAlgError, ValueError) as error:
        raise _unusable_affine(name) from error
    if None in codes:
        raise _unusable_affine(name)
    axes = tuple(
        next(axis for axis, code in enumerate(codes) if code in pair) for pair in _OUR_AXES
    )
    flipped = tuple(codes[axis] == pair[0] for axis, pair in zip(axes, _OUR_AXES, strict=True))
    return axes, flipped


def _affine(header: Header, name: str) -> np.ndarray:
    try:
        return np.asarray(header.get_best_affine())
    except ValueError as error:  # its quaternion is longer than 1: no rotation
        raise _unusable_affine(name) from error


def _unusable_affine(name: str) -> UnreadableScanError:
    return UnreadableScanError(
        f"{name} does not say how it lies in space: its sform or qform is not usable",
        hint="export it again with a valid sform or qform",
    )


def _unit(header: Any) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:  # a code that the standard does not know
        return "unknown"


def _warnings(header: Header, volume: int) -> tuple[str, ...]:
    warnings = []
    if (count := _count(header)) > 1:
        which = f"number {volume}, counted from 0," if volume else "the first"
        warnings.append(f"it holds {count} volumes: {which} was read")
    if header["sform_code"] == 0 and header["qform_code"] == 0:
        warnings.append("its header gives no orientation: left and right may be exchanged")
    elif header["sform_code"] > 0:
        warnings += _contradictions(header)
    return tuple(warnings)


def _contradictions(header: Header) -> list[str]:
    """Where what a header says beside its sform, which counts, is not the same."""
    sform = np.asarray(header.get_sform())
    sides, told = np.sqrt((sform[:3, :3] ** 2).sum(axis=0)), np.abs(header["pixdim"][1:4])
    shape = (*header.get_data_shape()[:3], 1, 1)[:3]
    said = []
    if header["qform_code"] > 0:
        ends = np.array(list(itertools.product(*((0, int(side) - 1) for side in shape))))
        homogeneous = np.column_stack([ends, np.ones(len(ends))])
        with contextlib.suppress(ValueError):  # a quaternion longer than 1: no qform
            apart = homogeneous @ (sform - np.asarray(header.get_qform())).T
            apart_mm = float(np.linalg.norm(apart[:, :3], axis=1).max()) * _MM[_unit(header)]
            if apart_mm > sides.min() * _MM[_unit(header)] / 2:
                said.append(
                    f"its sform and its qform lie up to {apart_mm:.3g} mm apart: the former was "
                    "taken"
                )
    known = (np.array(shape) > 1) & (told > 0)  # of a single slice, its thickness may be anything
    if (np.abs(sides - told) > _SAME_SIDE * sides)[known].any():
        by_sform, by_pixdim = (" × ".join(f"{it:.3g}" for it in each) for each in (sides, told))
        said.append(
            f"its header gives two sizes of a voxel, {by_sform} (sform) and {by_pixdim} (pixdim): "
            "the former was taken"
        )
    return said
