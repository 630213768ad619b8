"""Graph + manifest → one self-contained ONNX file."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import onnx
import torch

from export.graph import Graph, output_names
from infer.manifest import METADATA_KEY, Manifest, to_json
from infer.writers.atomic import write_bytes
from train.shapes import Images


def to_onnx(graph: Graph, images: Images) -> onnx.ModelProto:
    """The graph in ONNX form, weights inside, its batch dynamic.

    Args:
        images: what to trace with, two or more: torch takes a batch of 1 for a constant.
    """
    if len(images) < 2:
        raise ValueError(f"trace with two images or more, got {len(images)}")
    with _quiet_exporter():
        program = torch.onnx.export(
            graph,
            (images,),
            input_names=["image"],
            output_names=list(output_names(graph, images)),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    return _without_traces(program.model_proto)


def write(path: Path, model: onnx.ModelProto, manifest: Manifest) -> None:
    """Write a model with its manifest, whole or not at all."""
    write_bytes(path, content_of(model, manifest))


def content_of(model: onnx.ModelProto, manifest: Manifest) -> bytes:
    """What the file of a model with its manifest holds."""
    sealed = onnx.ModelProto()
    sealed.CopyFrom(model)
    onnx.helper.set_model_props(sealed, {METADATA_KEY: to_json(manifest)})
    return bytes(sealed.SerializeToString())


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes on each node: they hold paths of this machine."""
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        value.ClearField("metadata_props")
    for function in model.functions:
        for node in function.node:
            node.ClearField("metadata_props")
            node.ClearField("doc_string")
    model.graph.ClearField("metadata_props")
    return model


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's progress and its own libraries' deprecations off the terminal."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            # raised inside torch and onnxscript, about their own code: nothing a caller can mend
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        exporter.setLevel(level)
