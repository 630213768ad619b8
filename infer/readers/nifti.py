"""NIfTI files → Volume: axes towards S, P, L; values of the scanner."""

import gzip
import io
import logging
import math
import zlib
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.dicom_header import without_pydicom
from infer.volume import MAX_VOXELS, Grid, Volume

CUT_OFF = "it was probably cut off or damaged while copying: copy it again"
Stream: TypeAlias = io.BufferedIOBase
_GZIP = b"\x1f\x8b"
_MM = {"unknown": 1.0, "mm": 1.0, "meter": 1e3, "micron": 1e-3}
# Our axes in nibabel's words, e.g. "from I to S"; see `Volume`.
_OUR_AXES = (("I", "S"), ("A", "P"), ("R", "L"))


def read(path: Path) -> Volume:
    """The volume, turned so that its axes run towards S, P and L (the closest if oblique).

    Raises:
        UnreadableScanError: it is damaged, not NIfTI, or not one volume of real numbers.
    """
    name = path.name
    if path.stat().st_size == 0:
        raise UnreadableScanError(f"{name} is empty (0 bytes)", hint=CUT_OFF)
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        stream = gzip.GzipFile(fileobj=file) if packed else file
        try:
            image = _open(stream, name)
            shape = _checked_shape(image, name)
            stored = _stored(image, stream, name)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UnreadableScanError(
                f"{name} ends in the middle of its compressed data, or the data is damaged",
                hint=CUT_OFF,
            ) from error
    several = math.prod(image.shape[3:]) > 1
    first = stored.reshape(*shape, -1, order="F")[..., 0]
    warnings = _warnings(image, several=several)
    return _volume(image, _scaled(first, image.dataobj), name, warnings)


def _open(stream: Stream, name: str) -> Any:
    """The image, of which only the header has been read."""
    with without_pydicom():
        import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # its doubts about headers
    start = stream.read(4)
    stream.seek(0)
    # The header's first word is its own length: 540 in NIfTI-2, 348 in NIfTI-1, in either order.
    second = 540 in (int.from_bytes(start, "little"), int.from_bytes(start, "big"))
    kind = nibabel.Nifti2Image if second else nibabel.Nifti1Image
    try:
        image = kind.from_stream(stream)
    except (HeaderDataError, ImageFileError, WrapStructError, ValueError) as error:
        raise UnreadableScanError(
            f"{name} is not a NIfTI file, whatever its name says, or its header is damaged",
            hint="export it again, or remove it from the folder",
        ) from error
    return image


def _checked_shape(image: Any, name: str) -> tuple[int, ...]:
    """Size of the (first) volume, three numbers; refused by the header before any reading."""
    shape: tuple[int, ...] = tuple(int(length) for length in image.shape)
    size = " × ".join(f"{length:,}" for length in shape)
    if not shape or min(shape) < 1:
        raise UnreadableScanError(f"{name} has no voxels ({size or 'no axes'})")
    if math.prod(shape) > MAX_VOXELS:
        raise UnreadableScanError(
            f"{name} claims {size} voxels, more than can be scored",
            hint="its header may be damaged; if not, score a smaller copy",
        )
    if math.prod(shape[4:]) > 1:
        raise UnreadableScanError(
            f"{name} has {len(shape)} axes ({size}): not one volume but vectors or tensors",
            hint="extract the volume to score",
        )
    if (kind := image.get_data_dtype()).kind not in "iuf":
        raise UnreadableScanError(
            f"{name} holds colours or complex numbers ({kind}), not one number per voxel",
            hint="convert it to a grey volume",
        )
    return (*shape[:3], 1, 1)[:3]


def _stored(image: Any, stream: Stream, name: str) -> np.ndarray:
    """All values as stored, straight into one array."""
    proxy = image.dataobj
    stored = np.empty(math.prod(image.shape), proxy.dtype)
    target = memoryview(stored.view(np.uint8).data)
    stream.seek(proxy.offset)
    filled = 0
    while filled < len(target):
        count = stream.readinto(target[filled:])
        if not count:
            raise UnreadableScanError(
                f"{name} ends in the middle of its voxels ({filled:,} of {len(target):,} bytes)",
                hint=CUT_OFF,
            )
        filled += count
    if isinstance(stream, gzip.GzipFile):
        _check_end(stream)
    return stored


def _check_end(stream: gzip.GzipFile) -> None:
    """Read on to the checksum: damage in the middle shows nowhere else."""
    try:
        while stream.read(io.DEFAULT_BUFFER_SIZE):
            pass
    except gzip.BadGzipFile as error:
        if "Not a gzipped file" not in str(error):  # said of bytes after the end, which do no harm
            raise


def _scaled(stored: np.ndarray, proxy: Any) -> np.ndarray:
    """Values of the scanner in float32, by the header's slope and intercept."""
    with np.errstate(over="ignore"):  # beyond float32: infinite, and reported as such
        voxels = stored.astype(np.float32)
        if (proxy.slope, proxy.inter) != (1, 0):
            voxels *= np.float32(proxy.slope)
            voxels += np.float32(proxy.inter)
    return voxels


def _volume(image: Any, voxels: np.ndarray, name: str, warnings: tuple[str, ...]) -> Volume:
    _check_finite(voxels, name)
    axes, flipped = orientation(image.affine, name)
    grid = Grid(shape=voxels.shape, axes=axes, flipped=flipped, header=image.header)
    sides = np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0)) * _MM[_unit(image.header)]
    return Volume(
        voxels=grid.from_file(voxels)[np.newaxis],
        unit="modality",
        spacing_mm=tuple(float(sides[axis]) for axis in axes),
        grid=grid,
        warnings=warnings,
    )


def _check_finite(voxels: np.ndarray, name: str) -> None:
    if np.isfinite(voxels.min()) and np.isfinite(voxels.max()):
        return
    count = voxels.size - int(np.isfinite(voxels).sum())
    raise UnreadableScanError(
        f"{name} holds {count:,} voxels that are not finite numbers (NaN or infinite)",
        hint="replace them, e.g. by the value of air, and score it again",
    )


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


def _unusable_affine(name: str) -> UnreadableScanError:
    return UnreadableScanError(
        f"{name} does not say how it lies in space: its affine is singular or not finite",
        hint="export it again with a valid sform or qform",
    )


def _unit(header: Any) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:  # a code that the standard does not know
        return "unknown"


def _warnings(image: Any, *, several: bool) -> tuple[str, ...]:
    warnings = []
    if several:
        count = math.prod(image.shape[3:])
        warnings.append(f"it holds {count} volumes: the first was scored")
    if image.header["sform_code"] == 0 and image.header["qform_code"] == 0:
        warnings.append("its header gives no orientation: left and right may be exchanged")
    return tuple(warnings)
