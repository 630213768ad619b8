"""`--tensorrt-cache`: what reaches TensorRT's provider, on a machine that has none.

The provider itself was never tried here: a session that says it is TensorRT's stands in for it.
"""

import ctypes
import pickle
from dataclasses import replace

import onnxruntime
import pytest
from typer.testing import CliRunner

from infer import load, providers
from infer.cli import app
from infer.engine import open_engine
from infer.errors import BadOutputError
from tests.infer.tiny_model import MANIFEST, write_tiny_model

PROVIDER = "TensorrtExecutionProvider"
real_session = onnxruntime.InferenceSession
real_library = ctypes.CDLL


class TensorrtLibrary:
    def getInferLibVersion(self):
        return 101302


@pytest.fixture
def asked(monkeypatch):
    """The provider options of each session that was opened on TensorRT."""
    options = []

    class Session:
        def __init__(self, graph, settings, *, providers, **more):
            first = providers[0]
            self._real = real_session(graph, settings, providers=["CPUExecutionProvider"])
            self._name = first if isinstance(first, str) else first[0]
            if self._name == PROVIDER:
                options.append(first[1])

        def __getattr__(self, name):
            return getattr(self._real, name)

        def get_providers(self):
            return [self._name]

    def library(name, *more):
        return TensorrtLibrary() if "nvinfer" in str(name) else real_library(name, *more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    monkeypatch.setattr(ctypes, "CDLL", library)
    monkeypatch.setattr(providers, "cuda_obstacle", lambda: "")
    monkeypatch.setattr(providers, "preload_cuda_libraries", lambda: None)
    monkeypatch.setattr(providers, "tensorrt_obstacle", lambda: "")
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")  # which opening sets, and this takes back
    return options


def opened(model, cache=None, **options):
    return open_engine(model, device="tensorrt", threads=1, tensorrt_cache=cache, **options)


def test_without_the_option_nothing_is_kept(tiny_model, asked):
    opened(tiny_model)
    assert asked == [{}]


def test_engines_and_timings_are_kept_in_a_folder_of_the_file_and_of_the_versions(
    tiny_model, asked, tmp_path
):
    engine = opened(tiny_model, tmp_path / "cache")
    place = tmp_path / "cache" / engine.sha256
    place /= f"onnxruntime-{onnxruntime.__version__}-tensorrt-101302"
    assert place.is_dir()
    assert asked == [
        {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(place),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(place),
        }
    ]


def test_models_that_differ_in_anything_share_no_engine(tiny_model, asked, tmp_path):
    other = write_tiny_model(tmp_path / "other.onnx", replace(MANIFEST, study="another"))
    asked.clear()
    for model in (tiny_model, other):
        opened(model, tmp_path / "cache")
    first, second = (it["trt_engine_cache_path"] for it in asked)
    assert first != second


def test_the_precision_goes_with_it(tiny_model, asked, tmp_path):
    opened(tiny_model, tmp_path, precision="fp16")
    assert asked[0]["trt_fp16_enable"] == "1"


def test_an_engine_that_is_sent_keeps_its_cache(tiny_model, asked, tmp_path):
    pickle.loads(pickle.dumps(opened(tiny_model, tmp_path)))
    assert asked[0] == asked[1]


def test_a_cache_that_cannot_be_written_is_refused(tiny_model, asked, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(BadOutputError, match="could not be written"):
        opened(tiny_model, tmp_path / "cache")


def test_a_program_may_ask_for_it_too(tiny_model, asked, tmp_path):
    load(tiny_model, device="tensorrt", tensorrt_cache=str(tmp_path / "cache"))
    assert asked[0]["trt_engine_cache_path"].startswith(str(tmp_path / "cache"))


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "openvino"])
@pytest.mark.parametrize(
    "what", [["--self-test"], ["{scans}", "--out", "{scans}/out"]], ids=["self-test", "run"]
)
def test_where_nothing_is_built_the_option_is_refused(tiny_model, tmp_path, device, what):
    given = [it.format(scans=tmp_path) for it in what]
    options = ["--model", str(tiny_model), "--device", device, "--tensorrt-cache", str(tmp_path)]
    done = CliRunner().invoke(app, [*given, *options])
    assert done.exit_code == 2
    assert "tensorrt-cache concerns --device tensorrt, which was not asked for" in done.stderr
