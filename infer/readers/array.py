"""NumPy arrays (.npy) → Volume, without geometry; never a pickle.

Pictures: uint8 or uint16 of shape (row, column) or (row, column, colour) with red, green, blue and
perhaps transparency, which is dropped; 0 is black, the largest value of the type white. All others
hold values of the scanner (HU in CT), of shape (row, column) or (slice, row, column), whose axes
run towards S, P and L, as axial slices are shown.
"""

import math
from pathlib import Path
from tokenize import TokenError
from typing import NamedTuple

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.choice import USUAL, Choice
from infer.readers.claim import Claim
from infer.readers.voxel_stream import CUT_OFF, read_voxels
from infer.volume import Grid, Volume

_COLOURS = (3, 4)
_WHITES = {np.dtype(np.uint8): 2**8 - 1, np.dtype(np.uint16): 2**16 - 1}
_LONGEST_HEADER = 10_000  # characters; NumPy's own limit for files that are not trusted


class _Header(NamedTuple):
    """What the first bytes say."""

    shape: tuple[int, ...]
    fortran: bool  # the first axis runs fastest
    kind: np.dtype
    offset: int  # of the voxels, in bytes

    @property
    def white(self) -> int | None:
        """Of a picture; None: values of the scanner."""
        is_flat = len(self.shape) == 2 or self.is_coloured
        return _WHITES.get(self.kind.newbyteorder("=")) if is_flat else None

    @property
    def is_coloured(self) -> bool:
        """Whether the last axis holds colours."""
        is_integer = self.kind.newbyteorder("=") in _WHITES
        return is_integer and len(self.shape) == 3 and self.shape[-1] in _COLOURS


def claim_of(path: Path, choice: Choice) -> Claim:
    """What would be read, by the header.

    Raises:
        UnreadableScanError: it is not an array of numbers, damaged, or too large.
    """
    return _claim(_header_of(path), path, choice)


def read(path: Path, choice: Choice = USUAL) -> Volume:
    """The array as it is stored.

    Raises:
        UnreadableScanError: it is not an array of numbers, damaged, or too large.
    """
    header = _header_of(path)
    claim = _claim(header, path, choice)
    with path.open("rb") as file:
        file.seek(header.offset)
        voxels = read_voxels(
            file,
            header.kind,
            header.shape,
            slope=1.0,
            intercept=0.0,
            order="F" if header.fortran else "C",
            name=path.name,
        )
    channels = np.moveaxis(voxels, -1, 0)[:3] if header.is_coloured else voxels[np.newaxis]
    if (channels[:1] == channels[1:]).all():  # grey, perhaps stored in colour
        channels = channels[:1]
    if header.white is not None:
        channels = channels / np.float32(header.white)
    axes = tuple(range(len(claim.shape)))
    return Volume(
        voxels=channels,
        unit="modality" if header.white is None else "display",
        spacing_mm=None,
        grid=Grid(shape=claim.shape, axes=axes, flipped=(False,) * len(axes)),
    )


# Of a damaged header, NumPy's parser raises whatever Python's does.
_OF_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    SyntaxError,
    TokenError,
    RecursionError,
    MemoryError,
)


def _header_of(path: Path) -> _Header:
    if path.stat().st_size == 0:
        raise UnreadableScanError(f"{path.name} is empty (0 bytes)", hint=CUT_OFF)
    from numpy.lib import format as npy

    with path.open("rb") as file:
        try:
            version = npy.read_magic(file)
            parse = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, kind = parse(file, max_header_size=_LONGEST_HEADER)
        except _OF_DAMAGE as error:
            raise UnreadableScanError(
                f"{path.name} is not a NumPy array (.npy), whatever its name says, or its header "
                "is damaged",
                hint="save it again with numpy.save, or remove it from the folder",
            ) from error
        return _Header(tuple(int(it) for it in shape), bool(fortran), np.dtype(kind), file.tell())


def _claim(header: _Header, path: Path, choice: Choice) -> Claim:
    shape, kind, name = header.shape, header.kind, path.name
    # Of a table not its columns: somebody may have named them after a patient.
    what = "a table" if kind.fields else str(kind)
    if kind.kind not in "iuf":
        raise UnreadableScanError(
            f"{name} holds no plain numbers ({what})",
            hint="save one number per voxel; pickled objects are never opened",
        )
    size = " × ".join(f"{length:,}" for length in shape)
    if len(shape) not in (2, 3):
        raise UnreadableScanError(
            f"{name} has {len(shape)} axes ({size}): not (row, column), (row, column, colour) or "
            "(slice, row, column)",
            hint="save one scan as one array",
        )
    if min(shape) < 1:
        raise UnreadableScanError(f"{name} has no voxels ({size})")
    colours = shape[-1] if header.is_coloured else 1
    spatial = shape[:-1] if header.is_coloured else shape
    choice.refuse_large(name, spatial, colours=colours)
    missing = header.offset + math.prod(shape) * kind.itemsize - path.stat().st_size
    if missing > 0:
        raise UnreadableScanError(
            f"{name} ends in the middle of its voxels ({missing:,} bytes are missing)",
            hint=CUT_OFF,
        )
    return Claim("NPY", spatial, what, colours=colours)
