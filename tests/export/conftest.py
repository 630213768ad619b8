"""One exported file for all tests that need one: exporting takes seconds."""

import functools

import pytest
from torch.onnx._internal.exporter import _registration

from infer.engine import open_engine
from tests.export.tiny_graph import write_tiny_graph

# What torch does at each export, to the same end: parse how every operator is written in ONNX. A
# third of an export of these small models, of which there are more than a hundred.
_registration.ONNXRegistry.from_torchlib = staticmethod(
    functools.cache(_registration.ONNXRegistry.from_torchlib)
)


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    return write_tiny_graph(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_engine(tiny_file):
    return open_engine(tiny_file, device="cpu", threads=1)
