"""int8: products of a network in integers, calibrated on normal images; all else stays in float.

ONNX Runtime's static quantisation, as pairs of QuantizeLinear and DequantizeLinear around each
product, which ONNX Runtime and OpenVINO fuse into integer kernels.

- Convolutions and matrix products only: nearly all of the arithmetic is theirs, and what follows
  the network, residual, standardisation and score, would lose more than it gains.
- Not transposed convolutions: ONNX Runtime has no integer kernel for them on a CPU. With them, the
  files of `cae` and `vae` were half as large, but no faster than in fp32 (0.52 and 0.61 ms for an
  image; fp32 0.51 and 0.61; without them 0.48 and 0.54).
- Values without sign, weights with: with signed values, ONNX Runtime computes the same, but
  OpenVINO (2026.4) makes something else of `dae`, whose scores then correlate with fp32's by 0.60.
- Weights in 7 bits, each output channel with its own scale: a processor with AVX2 and without VNNI
  adds pairs of products of 8 bits in 16, which may overflow, and scores would depend on the
  processor. Measured on three methods, the eighth bit changed correlations by less than 0.004, in
  either direction.
"""

import logging
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_static,
)

from infer.shapes import Images
from train.batches import at_once

PRODUCTS = ("Conv", "Gemm", "MatMul")


class _Reader(CalibrationDataReader):
    """Images, a batch at a time."""

    def __init__(self, images: Images) -> None:
        self._batches = _batches(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._batches, None)


class Int8:
    """Static quantisation of one graph; its operators are nodes, by name."""

    def __init__(self, model: onnx.ModelProto, images: Images) -> None:
        self._images = images
        self._model = _prepared(model)

    @property
    def operators(self) -> Sequence[str]:
        """The products that have weights of their own."""
        weights = {it.name for it in self._model.graph.initializer}
        return [
            node.name
            for node in self._model.graph.node
            if node.op_type in PRODUCTS and weights & set(node.input)
        ]

    @property
    def in_words(self) -> str:
        """How, for the manifest."""
        return (
            f"static quantisation by onnxruntime {onnxruntime.__version__}: inputs of products in "
            "8 bits, weights in 7 for each channel, ranges from the lowest to the highest value on "
            f"{len(self._images)} images of validation normals"
        )

    @property
    def calibration_images(self) -> int:
        """Of validation normals."""
        return len(self._images)

    def reduced(self, leave: Collection[str]) -> onnx.ModelProto:
        """The graph with all its products but these in integers."""
        model = onnx.ModelProto()
        model.CopyFrom(self._model)  # the library moves the weights of what it is given to a file
        with tempfile.TemporaryDirectory() as folder, _quietly():
            path = Path(folder) / "int8.onnx"
            quantize_static(
                model,
                path,
                _Reader(self._images),
                quant_format=QuantFormat.QDQ,
                nodes_to_quantize=[it for it in self.operators if it not in leave],
                op_types_to_quantize=list(PRODUCTS),
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
            return onnx.load(path)


def _batches(images: Images) -> Iterator[dict[str, np.ndarray]]:
    size = at_once(images.shape[2:])
    for start in range(0, len(images), size):
        yield {"image": images[start : start + size]}


def _prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """With the shapes of all it computes, every node named, and no notes but our own."""
    with tempfile.TemporaryDirectory() as folder, _quietly():
        path = Path(folder) / "prepared.onnx"
        quant_pre_process(model, path)
        prepared = onnx.load(path)
    used = {node.domain for node in prepared.graph.node} | {""}
    # ONNX Runtime declares every set of operators it knows, which other engines need not know.
    kept = [it for it in prepared.opset_import if it.domain in used]
    del prepared.opset_import[:]
    prepared.opset_import.extend(kept)
    for at, node in enumerate(prepared.graph.node):
        node.name = node.name or f"{node.op_type}_{at}"
    return prepared


class _quietly:
    """Keep the library's advice off the terminal: it is about what we do on purpose."""

    def __enter__(self) -> None:
        self._level = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *error: Any) -> None:
        logging.disable(self._level)
