"""Tensor types: axes are words, `*spatial` is (height, width) or (depth, height, width)."""

from typing import TypeAlias

from jaxtyping import Bool, Float
from torch import Tensor

Images: TypeAlias = Float[Tensor, "batch channel *spatial"]
Outputs: TypeAlias = Float[Tensor, "batch output *spatial"]
OtherImages: TypeAlias = Float[Tensor, "other channel *spatial"]
Evidence: TypeAlias = Float[Tensor, "batch channel *spatial"]
Maps: TypeAlias = Float[Tensor, "batch 1 *spatial"]
Scores: TypeAlias = Float[Tensor, " batch"]
Labels: TypeAlias = Bool[Tensor, " batch"]
Latents: TypeAlias = Float[Tensor, "batch latent"]
Memberships: TypeAlias = Float[Tensor, "batch component"]
Loss: TypeAlias = Float[Tensor, ""]
