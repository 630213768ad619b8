"""One exported file for all tests that need one: exporting takes seconds."""

import pytest

from infer.engine import open_engine
from tests.export.tiny_graph import write_tiny_graph


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory):
    return write_tiny_graph(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="session")
def tiny_engine(tiny_file):
    return open_engine(tiny_file, device="cpu", threads=1)
