"""Array types: axes are words; `*spatial` is a scan's own grid, `*pixels` that of the network.

Both are (height, width) or (depth, height, width). Two names, so that one function or record
can hold a scan's map and the images it was made from.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

# Shapes are checked in tests only, which import jaxtyping first; a run has no use for them, and
# importing them costs as much as importing NumPy.
if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float32
else:

    class Float32:
        """An array type without its axes."""

        def __class_getitem__(cls, array_and_axes: tuple[type, str]) -> type:
            return array_and_axes[0]

    Bool = Float32

Voxels: TypeAlias = Float32[np.ndarray, "channel *spatial"]
Foreground: TypeAlias = Bool[np.ndarray, "*spatial"]
AnomalyMap: TypeAlias = Float32[np.ndarray, "*spatial"]
Mask: TypeAlias = Bool[np.ndarray, "*spatial"]

# Slices at the scan's own size.
Slices: TypeAlias = Float32[np.ndarray, "image channel height width"]
SliceMaps: TypeAlias = Float32[np.ndarray, "image height width"]
SliceMasks: TypeAlias = Bool[np.ndarray, "image height width"]

# What a network sees: slices (or patches) at its own size and intensity range.
Images: TypeAlias = Float32[np.ndarray, "image channel *pixels"]
ImageGroups: TypeAlias = Sequence[Float32[np.ndarray, "_ channel *pixels"]]
Maps: TypeAlias = Float32[np.ndarray, "image 1 *pixels"]
Scores: TypeAlias = Float32[np.ndarray, " image"]
