"""Devices: which are known, which are refused and in which words, before a session is opened."""

import ctypes
from dataclasses import replace

import onnxruntime
import pytest

from infer import providers
from infer.errors import UnknownChoiceError
from infer.providers import Device, check_request, choose_device, computing
from tests.infer.tiny_model import VARIANT


class Driver:
    """An NVIDIA driver that finds so many GPUs."""

    def __init__(self, gpus):
        self.gpus = gpus

    def cuInit(self, flags):
        return 0

    def cuDeviceGetCount(self, count):
        count._obj.value = self.gpus
        return 0


@pytest.fixture
def driver(monkeypatch):
    """A machine with so many GPUs, and no other library of NVIDIA's."""

    def pretend(gpus):
        def opened(name):
            if "cuda" not in name:
                raise OSError(f"{name} is not there")
            return Driver(gpus)

        monkeypatch.setattr(ctypes, "CDLL", opened)
        monkeypatch.setattr(providers, "preload_cuda_libraries", lambda: None)

    return pretend


@pytest.mark.parametrize("asked", ["gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1 ", "cpu:0", ""])
def test_an_unknown_device_is_refused(asked):
    with pytest.raises(UnknownChoiceError, match="unknown device") as refused:
        choose_device(asked)
    assert "auto, cpu, cuda, tensorrt, openvino, cuda:N" in refused.value.hint


def test_a_gpu_is_chosen_by_its_number(driver):
    driver(gpus=2)
    second = choose_device("cuda:1")
    (name, options), _ = second.providers
    assert (second.got, second.gpu, name) == ("cuda", 1, "CUDAExecutionProvider")
    assert options["device_id"] == "1"
    (_, options), _ = choose_device("cuda").providers
    assert "device_id" not in options


@pytest.mark.parametrize(
    ("gpus", "said"), [(1, "finds 1 GPU, cuda:0"), (4, "finds 4 GPUs, cuda:0 to cuda:3")]
)
def test_a_gpu_that_is_not_there_is_refused_with_those_that_are(driver, gpus, said):
    driver(gpus)
    with pytest.raises(UnknownChoiceError, match="device cuda:7 cannot be used: .*" + said):
        choose_device("cuda:7")


def test_without_any_gpu_a_number_is_refused_as_cuda_is(driver):
    driver(gpus=0)
    for asked in ("cuda", "cuda:0", "cuda:1"):
        with pytest.raises(UnknownChoiceError, match=f"device {asked} cannot be used: .* no GPU"):
            choose_device(asked)
    assert choose_device("auto").got == "cpu"


def test_auto_takes_the_first_gpu_and_nothing_slower_to_start(driver):
    driver(gpus=2)
    device = choose_device("auto")
    assert (device.got, device.gpu, device.precision) == ("cuda", 0, "fp32")


def test_tensorrt_is_refused_before_onnx_runtime_is_asked_for_it(driver, monkeypatch):
    driver(gpus=0)
    with pytest.raises(UnknownChoiceError, match=r"device tensorrt cannot be used: .* no GPU"):
        choose_device("tensorrt")
    driver(gpus=1)
    offered = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered)
    with pytest.raises(UnknownChoiceError, match=r"nvinfer.* was not found"):
        choose_device("tensorrt")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: offered[1:])
    with pytest.raises(UnknownChoiceError, match="this build of ONNX Runtime has no TensorRT"):
        choose_device("tensorrt")


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1"])
def test_what_no_file_and_no_engine_has_is_refused_before_anything_is_opened(device):
    name = device.partition(":")[0]
    with pytest.raises(UnknownChoiceError) as refused:
        choose_device(device, "bf16")
    assert str(refused.value) == f"precision bf16 cannot be had with device {name}"
    assert "--device openvino and tensorrt also compute in bf16 or fp16" in refused.value.hint


def test_a_precision_that_does_not_exist_is_refused():
    with pytest.raises(UnknownChoiceError, match="unknown precision 'fp8'"):
        check_request("openvino", "fp8")
    assert check_request("openvino", "bf16") == ("openvino", 0, "bf16")
    assert check_request("cpu", None) == ("cpu", 0, None)


@pytest.mark.parametrize(
    ("precision", "options"),
    [("fp32", {}), ("fp16", {"trt_fp16_enable": "1"}), ("bf16", {"trt_bf16_enable": "1"})],
)
def test_tensorrt_is_told_of_the_precision(precision, options):
    device = Device(asked="tensorrt", got="tensorrt", reason="asked for", precision=precision)
    assert device.providers[0] == ("TensorrtExecutionProvider", options)
    assert device.provider == "TensorrtExecutionProvider"


def test_a_file_that_no_gpu_takes_runs_on_the_cpu_unless_a_gpu_was_asked_for(driver):
    driver(gpus=1)
    half = replace(VARIANT, precision="fp16")
    chosen = computing(choose_device("auto"), None, VARIANT)
    assert (chosen.asked, chosen.got, chosen.precision) == ("auto", "cpu", "int8")
    assert chosen.reason == "the model is in int8, which cuda is not given"
    assert computing(choose_device("auto"), None, half).got == "cuda"
    with pytest.raises(UnknownChoiceError, match="precision int8 cannot be had with device cuda"):
        computing(choose_device("cuda"), None, VARIANT)
