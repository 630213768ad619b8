"""The contract that every exported graph keeps: its inputs and outputs, and what it gives."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from infer.errors import BadModelError
from infer.manifest import Manifest
from infer.shapes import Images
from infer.volumetric import is_volumetric

SCORE_PREFIX = "score_"  # of the further scores that a graph may give
EXPORT_HINT = "make model files with this project's export stage"


def check_contract(
    inputs: Sequence[Any], outputs: Sequence[Any], manifest: Manifest, *, where: str
) -> None:
    """Compare a graph's inputs and outputs with the contract every exported graph keeps.

    Raises:
        BadModelError: they differ.
    """
    if [value.name for value in inputs] != ["image"]:
        found = ", ".join(value.name for value in inputs) or "none"
        raise BadModelError(
            f"{where}: the graph's only input must be 'image', found {found}", hint=EXPORT_HINT
        )
    expected = (manifest.channels, *manifest.input_size)
    shape = tuple(inputs[0].shape)
    axes = "depth, " if is_volumetric(manifest.input_size) else ""
    if inputs[0].type != "tensor(float)" or len(shape) != len(expected) + 1:
        raise BadModelError(
            f"{where}: the graph's input must be float32 (batch, channel, {axes}height, width), "
            f"found {inputs[0].type} of shape {shape}",
            hint=EXPORT_HINT,
        )
    fixed = zip(shape[1:], expected, strict=True)
    if isinstance(shape[0], int) or any(isinstance(s, int) and s != e for s, e in fixed):
        raise BadModelError(
            f"{where}: the graph takes {shape}, its manifest says (any batch, "
            f"{', '.join(map(str, expected))})",
            hint=EXPORT_HINT,
        )
    known = {"anomaly_map", "score"}
    if missing := known - {value.name for value in outputs}:
        raise BadModelError(
            f"{where}: the graph has no output {' or '.join(sorted(missing))}", hint=EXPORT_HINT
        )


def check_outputs(outputs: Mapping[str, Any], images: Images) -> None:
    """A graph may declare one thing and give another.

    Raises:
        BadModelError: it does.
    """
    count, _, *spatial = images.shape
    for name, values in outputs.items():
        shapes = {"anomaly_map": (count, 1, *spatial), "reconstruction": images.shape}
        expected = shapes.get(name, (count,))
        known = name in shapes or name.startswith(SCORE_PREFIX) or name == "score"
        if known and (values.shape != expected or values.dtype != np.float32):
            raise BadModelError(
                f"the model gave {name} as {values.dtype} of shape {values.shape}, "
                f"not as float32 of {expected}",
                hint=EXPORT_HINT,
            )
