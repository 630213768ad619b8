"""Model files: what is opened, what is refused and in which words; devices."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import helper

from infer import providers
from infer.engine import open_engine, read_manifest
from infer.engine_batches import Engine
from infer.errors import BadModelError, UnknownChoiceError
from infer.manifest import METADATA_KEY, SCHEMA, from_json, to_json
from infer.preprocessing import UNPROCESSED
from tests.infer.tiny_model import MANIFEST, SIZE, save, tiny_graph


def images(count):
    return np.random.default_rng(0).random((count, 1, SIZE, SIZE), np.float32)


def test_the_outputs_are_those_of_the_graph(tiny_model):
    engine = open_engine(tiny_model, device="cpu", threads=1)
    seen = images(3)
    outputs = engine.run(seen)
    assert isinstance(engine, Engine)
    np.testing.assert_allclose(
        outputs.anomaly_map, np.abs(seen - outputs.reconstruction), atol=1e-6
    )
    np.testing.assert_array_equal(outputs.score, outputs.anomaly_map.max(axis=(1, 2, 3)))
    assert list(outputs.score_parts) == ["mean"]


def test_an_image_gives_the_same_bits_wherever_it_stands_in_a_batch(tiny_model):
    engine = open_engine(tiny_model, device="cpu", threads=1)
    seen = images(16)
    forwards, backwards = engine.run(seen), engine.run(seen[::-1].copy())
    np.testing.assert_array_equal(forwards.anomaly_map, backwards.anomaly_map[::-1])
    np.testing.assert_array_equal(forwards.score, backwards.score[::-1])


def test_the_manifest_comes_with_the_file(tiny_model):
    assert replace(read_manifest(tiny_model), self_test=MANIFEST.self_test) == MANIFEST


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(BadModelError, match="cannot be read"):
        read_manifest(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n"])
def test_something_else_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(BadModelError, match=r"model\.onnx"):
        read_manifest(path)


def test_a_truncated_model_is_refused(tmp_path, tiny_model):
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_model.read_bytes()[:300])
    with pytest.raises(BadModelError, match=r"model\.onnx"):
        read_manifest(path)


def test_an_onnx_file_without_our_manifest_is_refused(tmp_path):
    path = tmp_path / "foreign.onnx"
    onnx.save(tiny_graph(), path)
    with pytest.raises(BadModelError, match="without our manifest"):
        read_manifest(path)


def test_weights_in_a_second_file_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    graph = tiny_graph()
    helper.set_model_props(graph, {METADATA_KEY: "{}"})
    onnx.save(graph, path, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(BadModelError, match="second file"):
        read_manifest(path)


def test_a_manifest_of_the_first_schema_takes_channels_as_they_are():
    said = json.loads(to_json(replace(MANIFEST, schema=1)))
    del said["channel_mean"], said["channel_std"]
    assert from_json(json.dumps(said), where="old.onnx").channel_mean == ()


def test_a_manifest_of_the_second_schema_takes_scans_unprocessed():
    said = json.loads(to_json(replace(MANIFEST, schema=2)))
    del said["preprocessing"]
    assert from_json(json.dumps(said), where="old.onnx").preprocessing == UNPROCESSED


def test_a_manifest_of_the_third_schema_thresholds_the_map_as_it_is():
    said = json.loads(to_json(replace(MANIFEST, schema=3)))
    kept = ("closing_radius_px", "smallest_lesion_px")
    said["postprocessing"] = {name: said["postprocessing"][name] for name in kept}
    assert from_json(json.dumps(said), where="a.onnx").postprocessing == MANIFEST.postprocessing
    assert not MANIFEST.postprocessing.acts_on_map


def test_a_newer_schema_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    save(path, tiny_graph(), replace(MANIFEST, schema=SCHEMA + 1))
    with pytest.raises(BadModelError, match="newer uad"):
        read_manifest(path)


def test_a_graph_that_breaks_the_contract_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    save(path, tiny_graph(input_name="x"), MANIFEST)
    with pytest.raises(BadModelError, match="only input must be 'image'"):
        read_manifest(path)
    graph = tiny_graph()
    del graph.graph.output[:2]
    save(path, graph, MANIFEST)
    with pytest.raises(BadModelError, match="no output anomaly_map or score"):
        read_manifest(path)


def test_a_manifest_of_another_image_size_is_refused(tmp_path):
    path = tmp_path / "model.onnx"
    save(path, tiny_graph(), replace(MANIFEST, image_size=(64, 64)))
    with pytest.raises(BadModelError, match="64, 64"):
        read_manifest(path)


def test_an_unknown_device_is_refused(tiny_model):
    with pytest.raises(UnknownChoiceError, match="gpu"):
        open_engine(tiny_model, device="gpu", threads=1)


def test_cuda_is_never_replaced_silently(tiny_model, monkeypatch):
    monkeypatch.setattr(providers, "driver_obstacle", lambda: "no NVIDIA driver was found")
    with pytest.raises(UnknownChoiceError, match="device cuda cannot be used"):
        open_engine(tiny_model, device="cuda", threads=1)


def test_auto_says_what_it_chose_and_why(tiny_model, monkeypatch):
    monkeypatch.setattr(providers, "cuda_obstacle", lambda: "no NVIDIA driver was found")
    device = open_engine(tiny_model, device="auto", threads=1).device
    assert (device.got, device.reason) == ("cpu", "no NVIDIA driver was found")


@pytest.mark.skipif(not providers.driver_obstacle(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_cuda_that_a_driver_promises_and_the_libraries_refuse(tiny_model, device):
    """As where a GPU is there and cuDNN is not: what ONNX Runtime prints must not be seen."""
    script = (
        "import sys; from pathlib import Path; from infer import engine, providers\n"
        "providers.driver_obstacle = lambda: ''\n"
        "try:\n"
        "    print(engine.open_engine(Path(sys.argv[1]), device=sys.argv[2], threads=1).device)\n"
        "except Exception as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tiny_model), device],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    assert "CUDA" in done.stdout
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_an_engine_that_is_sent_says_what_it_said_before(tiny_model):
    engine = open_engine(tiny_model, device="cpu", threads=1)
    arrived = pickle.loads(pickle.dumps(engine))
    assert arrived.sha256 == engine.sha256
    assert arrived.manifest == engine.manifest
    np.testing.assert_array_equal(
        arrived.run(images(3)).anomaly_map, engine.run(images(3)).anomaly_map
    )


def test_an_engine_whose_file_has_changed_does_not_arrive(tmp_path, tiny_model):
    path = tmp_path / "model.onnx"
    shutil.copyfile(tiny_model, path)
    sent = pickle.dumps(open_engine(path, device="cpu", threads=1))
    save(path, tiny_graph(), replace(MANIFEST, study="another"))
    with pytest.raises(BadModelError, match="has changed since the run began"):
        pickle.loads(sent)
