"""A small model file and a small folder of scans."""

import pytest

from tests.infer.tiny_model import write_tiny_model, write_tiny_scans


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def scans(tmp_path):
    return write_tiny_scans(tmp_path / "scans")
