"""Voxels that lie one after the other in a stream → float32, block by block.

Only the result is held in memory. A block is still in the processor's cache when it is scaled and
checked, which is faster than a pass over all voxels for each step.
"""

import io
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from infer.errors import UnreadableScanError
from infer.readers.gzip_stream import GzipStream

CUT_OFF = "it was probably cut off or damaged while copying: copy it again"
Stream: TypeAlias = io.BufferedIOBase | io.RawIOBase

_BLOCK = 2**18  # bytes
# Bytes after the voxels do no harm, but a packed file may hold terabytes of them.
_MOST_AFTER = 2**30


def read_voxels(
    stream: Stream,
    kind: np.dtype,
    shape: Sequence[int],
    *,
    slope: float,
    intercept: float,
    order: str,
    name: str,
    further: int = 0,
) -> np.ndarray:
    """Voxels of this shape; `order` as in NumPy: "F" where the first axis runs fastest.

    `further`: how many bytes of other volumes follow them, by the header.

    Raises:
        UnreadableScanError: there are fewer, or values that are no finite numbers.
    """
    voxels = np.empty(int(np.prod(shape, dtype=np.int64)), np.float32)
    buffer = bytearray(_BLOCK // kind.itemsize * kind.itemsize)
    step = len(buffer) // kind.itemsize
    infinite = 0
    may_be_infinite = kind.kind == "f" or (slope, intercept) != (1, 0)
    for start in range(0, len(voxels), step):
        part = voxels[start : start + step]
        target = memoryview(buffer)[: len(part) * kind.itemsize]
        if (count := _fill(target, stream)) < len(target):
            whole = len(voxels) * kind.itemsize
            raise UnreadableScanError(
                f"{name} ends in the middle of its voxels "
                f"({start * kind.itemsize + count:,} of {whole:,} bytes)",
                hint=CUT_OFF,
            )
        with np.errstate(over="ignore", invalid="ignore"):  # reported below
            part[:] = rescaled(np.frombuffer(target, kind), slope, intercept)
        if may_be_infinite and not (np.isfinite(part.min()) and np.isfinite(part.max())):
            infinite += len(part) - int(np.count_nonzero(np.isfinite(part)))
    # Damage explains more than what it made of the values: on to the end, where checksums are.
    if isinstance(stream, GzipStream):
        after = _read_on(stream, name, most=further + _MOST_AFTER)
    else:
        here = stream.tell()
        after = stream.seek(0, io.SEEK_END) - here
    if after < further:
        raise UnreadableScanError(
            f"{name} ends before the last of its volumes ({further - after:,} bytes earlier)",
            hint=CUT_OFF,
        )
    if infinite:
        raise UnreadableScanError(
            f"{name} holds {infinite:,} voxels that are not finite numbers (NaN or infinite)",
            hint="replace them, e.g. by the value of air, and score it again",
        )
    return voxels.reshape(tuple(shape), order="F" if order == "F" else "C")


def rescaled(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """Stored values as those of the scanner, to be kept in float32.

    Rounded to float32 before the intercept is added, large ones would lose what tells them apart.
    """
    if (slope, intercept) == (1, 0):
        return stored
    wide = np.float32 if np.can_cast(stored.dtype, np.float32) else np.float64
    values = stored.astype(wide)
    np.multiply(values, wide(slope), out=values)
    np.add(values, wide(intercept), out=values)
    return values


def first_bytes(stream: Stream, count: int) -> bytes:
    """As many bytes, or all that there are."""
    buffer = bytearray(count)
    return bytes(buffer[: _fill(memoryview(buffer), stream)])


def skip(stream: Stream, count: int, name: str) -> None:
    """Pass over bytes, without holding them.

    Raises:
        UnreadableScanError: there are fewer.
    """
    buffer = memoryview(bytearray(min(count, _BLOCK)))
    left = count
    while left:
        found = _fill(buffer[: min(left, _BLOCK)], stream)
        if not found:
            raise UnreadableScanError(
                f"{name} ends before the voxels to read ({left:,} bytes earlier)", hint=CUT_OFF
            )
        left -= found


def _fill(target: memoryview, stream: Stream) -> int:
    """How many bytes there were."""
    filled = 0
    while filled < len(target):
        count = stream.readinto(target[filled:])
        if not count:
            break
        filled += count
    return filled


def _read_on(stream: Stream, name: str, *, most: int) -> int:
    """Read to the end, where a checksum is the only sign of some damage; how many bytes it was."""
    buffer = memoryview(bytearray(_BLOCK))
    passed = 0
    while count := _fill(buffer, stream):
        passed += count
        if passed > most:
            raise UnreadableScanError(
                f"{name} goes on for more than {most:,} bytes after its voxels",
                hint="its header may be damaged: export it again",
            )
    return passed
