"""Model files made to harm: refused in words, before they cost memory or read other files."""

import json
import os
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from infer.cli import app
from infer.engine import open_engine, read_manifest
from infer.errors import BadModelError
from infer.manifest import METADATA_KEY, SCHEMA, to_json
from tests.infer.tiny_model import MANIFEST, SIZE, save, tiny_graph


def saved(path, graph, manifest=MANIFEST):
    save(path, graph, manifest)
    return path


def moved_outside(tensor, **where):
    """The tensor's values are said to lie elsewhere."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in where.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value


def of_any_size():
    """A graph that leaves its image's height and width open."""
    graph = tiny_graph()
    for value in (*graph.graph.input, *graph.graph.output):
        for dim, name in zip(value.type.tensor_type.shape.dim[2:], "hw", strict=False):
            dim.dim_param = name
    return graph


@pytest.mark.parametrize(
    "location",
    ["weights", "{folder}/weights", "../weights", "/etc/passwd", "*/_ORT_MEM_ADDR_/*"],
)
def test_weights_are_never_read_from_elsewhere(tmp_path, monkeypatch, location):
    (tmp_path / "weights").write_bytes(bytes(4096))
    monkeypatch.chdir(tmp_path)  # where ONNX Runtime would look
    graph = tiny_graph()
    said = location.format(folder=tmp_path)
    moved_outside(graph.graph.initializer[0], location=said, offset="0", length="324")
    with pytest.raises(BadModelError, match="weights are in a second file"):
        read_manifest(saved(tmp_path / "model.onnx", graph))


@pytest.mark.parametrize("location", ["weights", "/etc/passwd"])
def test_neither_are_constants_within_nodes(tmp_path, monkeypatch, location):
    (tmp_path / "weights").write_bytes(bytes(16))
    monkeypatch.chdir(tmp_path)
    graph = tiny_graph()
    constant = onnx.numpy_helper.from_array(np.zeros(4, np.float32), "secret")
    moved_outside(constant, location=location, offset="0", length="16")
    graph.graph.node.insert(0, helper.make_node("Constant", [], ["score_secret"], value=constant))
    graph.graph.output.append(
        helper.make_tensor_value_info("score_secret", TensorProto.FLOAT, ["batch"])
    )
    with pytest.raises(BadModelError, match="second file"):
        read_manifest(saved(tmp_path / "model.onnx", graph))


def test_a_file_too_large_for_onnx_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no room on the disk
    with pytest.raises(BadModelError, match="larger than 2 GiB"):
        read_manifest(path)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_refused_and_blocks_nobody(tmp_path, kind):
    path = tmp_path / "model.onnx"
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()
    with pytest.raises(BadModelError, match="it is not a file"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("channels", "image_size"),
    [(1, (10**6, 10**6)), (10**9, (SIZE, SIZE)), (1, (0, 0)), (1, (-1, SIZE)), (0, (SIZE, SIZE))],
)
def test_a_manifest_cannot_ask_for_images_that_fill_the_memory(tmp_path, channels, image_size):
    text = json.loads(to_json(MANIFEST)) | {"channels": channels, "image_size": image_size}
    graph = of_any_size()
    helper.set_model_props(graph, {METADATA_KEY: json.dumps(text)})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(BadModelError, match="channels and image_size must be at least 1"):
        read_manifest(tmp_path / "model.onnx")


@pytest.mark.parametrize("size", [(1, 10**400, 1), (1, 0, 1), (1, -5, 1), (1, 1)])
def test_a_manifest_whose_normals_have_no_size_is_refused(tmp_path, size):
    text = json.loads(to_json(MANIFEST))
    text["normals"]["scan_sizes"] = [size]
    graph = tiny_graph()
    helper.set_model_props(graph, {METADATA_KEY: json.dumps(text)})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(BadModelError, match="the manifest is not"):
        read_manifest(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "text", ["", "[]", "null", "{", "[" * 100_000, '{"schema": "1"}', '{"schema": 1}', "\x00"]
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    graph = tiny_graph()
    helper.set_model_props(graph, {METADATA_KEY: text})
    (tmp_path / "model.onnx").write_bytes(graph.SerializeToString())
    with pytest.raises(BadModelError, match=r"model\.onnx: the manifest"):
        read_manifest(tmp_path / "model.onnx")


def test_a_graph_of_unknown_operators_is_refused(tmp_path):
    graph = tiny_graph()
    graph.graph.node.append(helper.make_node("Evil", ["image"], ["x"], domain="evil"))
    with pytest.raises(BadModelError, match="ONNX Runtime cannot open it"):
        read_manifest(saved(tmp_path / "model.onnx", graph))


def test_a_graph_that_fills_the_memory_fails_on_each_scan_in_words(tmp_path, scans):
    graph = tiny_graph()
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2**46]), "many"))
    graph.graph.node.insert(0, helper.make_node("ConstantOfShape", ["many"], ["score_huge"]))
    graph.graph.output.append(
        helper.make_tensor_value_info("score_huge", TensorProto.FLOAT, [None])
    )
    path = saved(tmp_path / "model.onnx", graph)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [str(scans), "--model", str(path), "--out", str(out)])
    assert done.exit_code == 1
    assert (out / "report.csv").read_text().count("the model failed on it: ") == 7
    assert not (out / "uad-infer.log").exists()  # nothing unexpected


def test_a_graph_that_gives_something_else_than_it_declares_is_found_out(tmp_path):
    graph = tiny_graph()
    graph.graph.node.append(
        helper.make_node("Transpose", ["map"], ["anomaly_map"], perm=[2, 1, 0, 3])
    )
    (highest,) = (
        node
        for node in graph.graph.node
        if node.output[0] == "anomaly_map" and node.op_type != "Transpose"
    )
    highest.output[0] = "map"
    engine = open_engine(saved(tmp_path / "model.onnx", graph), device="cpu", threads=1)
    with pytest.raises(BadModelError, match=r"anomaly_map as float32 of shape \(32, 1, 2, 32\)"):
        engine.run(np.zeros((2, 1, SIZE, SIZE), np.float32))


def test_a_newer_manifest_is_refused_by_the_command_and_nothing_is_written(tmp_path, scans):
    path = saved(tmp_path / "model.onnx", tiny_graph(), replace(MANIFEST, schema=SCHEMA + 1))
    before = sorted(tmp_path.rglob("*"))
    out = tmp_path / "out"
    done = CliRunner().invoke(app, [str(scans), "--model", str(path), "--out", str(out)])
    assert done.exit_code == 2
    assert "written by a newer uad" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_a_models_words_do_not_steer_the_terminal(tmp_path):
    hostile = replace(MANIFEST, study="tiny\x1b[2J\x07")
    done = CliRunner().invoke(
        app, ["--describe", str(saved(tmp_path / "model.onnx", tiny_graph(), hostile))]
    )
    assert done.exit_code == 0
    assert "tiny\\x1b[2J\\x07" in done.stdout
    assert "\x1b" not in done.stdout
