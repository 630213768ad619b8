"""Array types: axes are words, `*spatial` is (height, width) or (depth, height, width)."""

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float32

Voxels: TypeAlias = Float32[np.ndarray, "channel *spatial"]
Foreground: TypeAlias = Bool[np.ndarray, "*spatial"]
AnomalyMap: TypeAlias = Float32[np.ndarray, "*spatial"]
Mask: TypeAlias = Bool[np.ndarray, "*spatial"]

# What a network sees: slices (or patches) at its own size and intensity range.
Images: TypeAlias = Float32[np.ndarray, "image channel *spatial"]
Maps: TypeAlias = Float32[np.ndarray, "image 1 *spatial"]
Scores: TypeAlias = Float32[np.ndarray, " image"]
