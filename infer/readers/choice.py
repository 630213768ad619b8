"""What may be chosen of how scans are read: which volume of several, how large at most."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from infer.errors import UnknownChoiceError, UnreadableScanError
from infer.slicing import Plane
from infer.volume import MAX_VOXELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How to read scans; all are checked by their headers before any voxel is read."""

    volume: int  # of a scan that holds several (4-D), from 0
    max_voxels: int  # of a scan, times its colours
    # What the slices of a stack are that says nothing of its place in space (pages of a TIFF, an
    # array): those that the model looks at.
    plane: Plane

    def __post_init__(self) -> None:
        if self.volume < 0:
            raise UnknownChoiceError(f"volume counts from 0, got {self.volume}")
        if self.max_voxels < 1:
            raise UnknownChoiceError(f"max-voxels must be at least 1, got {self.max_voxels}")

    def refuse_large(self, name: str, shape: Sequence[int], *, colours: int = 1) -> None:
        """Refuse a scan of this shape if that is too large.

        Raises:
            UnreadableScanError: it claims more voxels than may be read.
        """
        if math.prod(shape) * colours <= self.max_voxels:
            return
        size = " × ".join(f"{length:,}" for length in shape)
        raise UnreadableScanError(
            f"{name} claims {size} voxels{f' of {colours} colours' if colours > 1 else ''}, "
            f"more than can be scored ({self.max_voxels:,}: --max-voxels)",
            hint="its header may be damaged; if not, score a smaller copy",
        )


USUAL = Choice(volume=0, max_voxels=MAX_VOXELS, plane="axial")


def seen_along(plane: Plane) -> Choice:
    """As usual, for a model that looks at the slices of this plane."""
    return replace(USUAL, plane=plane)
