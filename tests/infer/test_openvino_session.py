"""OpenVINO: what ONNX Runtime says, in as many threads as told, and nobody is called."""

import csv
import json
import os
import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from infer import load, openvino_session
from infer.cli import app
from infer.engine import open_engine
from infer.errors import BadModelError, MissingExtraError, UnknownChoiceError
from infer.openvino_session import OpenVinoSession, library
from infer.self_test import change_of, check_model, measure
from tests.infer.tiny_model import MANIFEST, SIZE, save, tiny_graph

openvino = library()  # never by `import`, which calls its makers
CAN = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
needs_bf16 = pytest.mark.skipif("BF16" not in CAN, reason="this processor has no bf16")


def images(count):
    return np.random.default_rng(0).random((count, 1, SIZE, SIZE), np.float32)


def opened(model, **options):
    return open_engine(model, device="openvino", **{"threads": 1, **options})


def uad_infer(scans, model, out, *further):
    options = ["--model", str(model), "--out", str(out), "--overlays", "none", *further]
    return CliRunner().invoke(app, [str(scans), *options])


def scores(out):
    with (out / "report.csv").open(newline="") as table:
        return {row["scan"]: float(row["score"]) for row in csv.DictReader(table)}


def record(out):
    return json.loads((out / "run.json").read_text())


@pytest.mark.parametrize("count", [1, 3, 16])
def test_in_fp32_it_says_what_onnx_runtime_says(tiny_model, count):
    ours, theirs = opened(tiny_model), open_engine(tiny_model, device="cpu", threads=1)
    found, expected = ours.run(images(count)), theirs.run(images(count))
    for name in ("anomaly_map", "score", "reconstruction"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-6)
    np.testing.assert_allclose(found.score_parts["mean"], expected.score_parts["mean"], atol=2e-6)


def test_it_passes_the_models_self_test(tiny_model):
    assert "tolerance 0.0001 on openvino in fp32" in check_model(tiny_model, device="openvino")


def test_an_image_gives_the_same_bits_wherever_it_stands_in_a_batch(tiny_model):
    engine, seen = opened(tiny_model), images(16)
    forwards, backwards = engine.run(seen), engine.run(seen[::-1].copy())
    np.testing.assert_array_equal(forwards.anomaly_map, backwards.anomaly_map[::-1])
    np.testing.assert_array_equal(forwards.score, backwards.score[::-1])


def test_what_it_said_does_not_change_when_it_is_asked_again(tiny_model):
    engine = opened(tiny_model)
    first = engine.run(images(2))
    kept = first.anomaly_map.copy()
    engine.run(images(2) / 2)
    np.testing.assert_array_equal(first.anomaly_map, kept)


def test_threads_share_it_and_each_gets_its_own_answer(tiny_model):
    engine = opened(tiny_model, workers=4)
    wanted = [engine.run(images(2) / part).score for part in range(1, 5)]
    found = [[] for _ in wanted]

    def ask(at):
        found[at] += [engine.run(images(2) / (at + 1)).score for _ in range(20)]

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answers, expected in zip(found, wanted, strict=True):
        assert len(answers) == 20
        assert all(np.array_equal(answer, expected) for answer in answers)


def test_it_takes_the_precision_and_the_threads_it_was_told(tiny_model):
    core, graph = openvino.Core(), tiny_model.read_bytes()
    told = {"precision": "fp32", "threads": 1, "workers": 2, "where": "tiny.onnx"}
    session = OpenVinoSession(graph, [], **told)
    settings = session.settings((2, 1, SIZE, SIZE))
    assert "float32" in settings["INFERENCE_PRECISION_HINT"]
    assert (settings["NUM_STREAMS"], settings["INFERENCE_NUM_THREADS"]) == ("2", "2")
    # What it would have taken by itself: the reason why it is told.
    if "BF16" in CAN:
        by_itself = core.compile_model(core.read_model(graph), "CPU")
        assert "bfloat16" in str(by_itself.get_property("INFERENCE_PRECISION_HINT"))


@needs_bf16
def test_bf16_changes_scores_a_little_and_says_how_much(tiny_model):
    engine = opened(tiny_model, precision="bf16")
    change = change_of(engine, tiny_model)
    expected = measure(open_engine(tiny_model, device="cpu", threads=1), engine.manifest)
    assert change.fp32 == expected
    assert change.reduced == measure(engine, engine.manifest)
    assert change.reduced.score != expected.score
    assert change.reduced.score == pytest.approx(expected.score, rel=2**-6)  # 8 bits
    assert change_of(opened(tiny_model), tiny_model) is None


@needs_bf16
def test_the_self_test_tells_that_bf16_is_not_what_was_exported(tiny_model):
    with pytest.raises(BadModelError, match="on openvino in bf16") as refused:
        check_model(tiny_model, device="openvino", precision="bf16")
    assert "--precision fp32" in refused.value.hint


def test_a_precision_that_the_processor_lacks_is_refused(tiny_model, monkeypatch):
    class Old(openvino.Core):
        def get_property(self, *asked):
            return ["FP32", "INT8"]

    monkeypatch.setattr(openvino, "Core", Old)
    with pytest.raises(UnknownChoiceError, match=r"bf16 cannot be had: .* computes in fp32$"):
        opened(tiny_model, precision="bf16")
    opened(tiny_model)


@pytest.mark.parametrize("name", ["weights", "/etc/passwd"])
def test_weights_in_a_second_file_are_refused_for_it_too(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights").write_bytes(bytes(4096))
    graph = tiny_graph()
    tensor = graph.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": name, "offset": "0", "length": "324"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    save(tmp_path / "model.onnx", graph, MANIFEST)
    with pytest.raises(BadModelError, match="weights are in a second file"):
        opened(tmp_path / "model.onnx")


def test_a_graph_of_operations_that_only_onnx_runtime_has_is_refused(tmp_path):
    graph = tiny_graph()
    inverse = onnx.helper.make_node("Inverse", ["kernel"], ["score_x"], domain="com.microsoft")
    graph.graph.node.append(inverse)
    graph.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    value = onnx.helper.make_tensor_value_info("score_x", onnx.TensorProto.FLOAT, None)
    graph.graph.output.append(value)
    save(tmp_path / "model.onnx", graph, MANIFEST)
    open_engine(tmp_path / "model.onnx", device="cpu", threads=1)
    with pytest.raises(BadModelError, match=r"lacks the operations com\.microsoft\.Inverse\)$"):
        opened(tmp_path / "model.onnx")


def test_without_the_package_it_is_refused_with_what_to_install(tiny_model, monkeypatch):
    monkeypatch.setattr(openvino_session, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="which is not installed") as refused:
        opened(tiny_model)
    assert refused.value.hint == "pip install 'uad[openvino]'"
    monkeypatch.setattr(openvino_session, "find_spec", lambda name: object())  # yet damaged
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match="cannot be imported"):
        opened(tiny_model)


def test_nobody_is_told_over_the_network_that_it_is_used(tiny_model, tmp_path):
    spy = tmp_path / "spies" / "openvino_telemetry"
    (spy / "backend").mkdir(parents=True)
    (spy / "__init__.py").write_text("raise SystemExit('it calls home')")
    script = (
        "import sys; from pathlib import Path; from infer.engine import open_engine\n"
        "open_engine(Path(sys.argv[1]), device='openvino', threads=1)\n"
        "assert 'openvino' in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "spies")}
    command = [sys.executable, "-c", script, str(tiny_model)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    seen = [sys.executable, "-c", "import openvino"]
    done = subprocess.run(seen, capture_output=True, text=True, env=environment, check=False)
    assert "it calls home" in done.stderr  # the spy would have seen it


def test_a_folder_gets_the_scores_it_gets_by_onnx_runtime(scans, tiny_model, tmp_path):
    for device in ("cpu", "openvino"):
        assert uad_infer(scans, tiny_model, tmp_path / device, "--device", device).exit_code == 0
    found, expected = scores(tmp_path / "openvino"), scores(tmp_path / "cpu")
    assert found.keys() == expected.keys()
    assert [found[it] for it in expected] == pytest.approx(list(expected.values()), rel=1e-5)
    said = record(tmp_path / "openvino")
    assert said["device"] == {
        "asked": "openvino",
        "got": "openvino",
        "provider": "OpenVINO CPU",
        "reason": "asked for",
        "precision": "fp32",
        "precision_change": None,
    }
    assert said["versions"]["openvino"] == openvino.__version__


@needs_bf16
def test_bf16_is_recorded_with_its_change_and_makes_other_results(scans, tiny_model, tmp_path):
    out = tmp_path / "out"
    assert uad_infer(scans, tiny_model, out, "--device", "openvino").exit_code == 0
    before = scores(out)
    done = uad_infer(scans, tiny_model, out, "--device", "openvino", "--precision", "bf16")
    assert done.exit_code == 0
    assert "bf16 instead of fp32: on the built-in phantom the score is " in done.stdout
    said = record(out)
    assert said["counts"]["resumed"] == 0  # fp32 results are not taken for bf16 ones
    assert said["options"]["precision"] == "bf16"
    assert said["device"]["precision_change"].keys() == {"fp32", "bf16"}
    assert before != scores(out)


def test_in_python_it_is_the_same(scans, tiny_model):
    theirs = load(tiny_model, device="cpu").score(scans / "lesion.nii.gz").score
    ours = load(tiny_model, device="openvino").score(scans / "lesion.nii.gz").score
    assert ours == pytest.approx(theirs, rel=1e-5)
    with pytest.raises(UnknownChoiceError, match="int8 cannot be had"):
        load(tiny_model, device="openvino", precision="int8")
