"""Which processor runs a graph: device → ONNX Runtime providers, before a session is opened.

ONNX Runtime, asked for CUDA where it cannot have it, prints C++ errors and goes on with the CPU.
So the driver is asked first; and what a session really runs on is checked by `infer.engine`.
"""

import contextlib
import ctypes
import io
import os
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from infer.errors import UnknownChoiceError
from infer.manifest import Variant
from infer.openvino_session import check_extra
from infer.precision import Precision, check_precision, precision_of

DEVICES = ("auto", "cpu", "cuda", "tensorrt", "openvino")
CUDA_NUMBER = re.compile(r"cuda:([0-9]{1,4})")
CUDA_PROVIDER = "CUDAExecutionProvider"
TENSORRT_PROVIDER = "TensorrtExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"
TENSORRT_LIBRARY = "nvinfer_10.dll" if sys.platform == "win32" else "libnvinfer.so.10"
INSTALL_HINT = "install the CUDA libraries with: pip install 'uad[cuda]'; or use --device cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that was asked for, the one that was got, and why."""

    asked: str
    got: Literal["cpu", "cuda", "tensorrt", "openvino"]
    reason: str
    gpu: int = 0  # which, where there are several; meaningless without
    precision: Precision = "fp32"  # of the engine, or of the file
    engine_cache: Path | None = None  # where TensorRT keeps the engines of this very file

    @property
    def is_cpu(self) -> bool:
        """Whether it is the processor, whoever computes on it."""
        return self.got in ("cpu", "openvino")

    @property
    def providers(self) -> list[Any]:
        """What ONNX Runtime is to be asked for."""
        if self.is_cpu:
            return [CPU_PROVIDER]
        # HEURISTIC: the default tries every algorithm, up to a second for each input shape.
        # TF32 would round to 10 bits: scores must agree with the CPU's.
        options = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        if self.gpu:
            options["device_id"] = str(self.gpu)
        cuda = [(CUDA_PROVIDER, options), CPU_PROVIDER]
        return [(TENSORRT_PROVIDER, self._of_tensorrt), *cuda] if self.got == "tensorrt" else cuda

    @property
    def _of_tensorrt(self) -> dict[str, str]:
        """Options of its provider."""
        options = {}
        if self.precision in ("bf16", "fp16"):
            options[f"trt_{self.precision}_enable"] = "1"
        if self.engine_cache is not None:
            folder = str(self.engine_cache)
            options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
            options |= {"trt_timing_cache_enable": "1", "trt_timing_cache_path": folder}
        return options

    @property
    def provider(self) -> str:
        """The first of them, which a session must have got."""
        first = self.providers[0]
        return str(first[0] if isinstance(first, tuple) else first)


def check_request(asked: str, precision: str | None) -> tuple[str, int, Precision | None]:
    """A device's name, which of several GPUs, and the precision; known without looking.

    Raises:
        UnknownChoiceError: no such device; or it never has this precision, whatever the file.
    """
    numbered = CUDA_NUMBER.fullmatch(asked)
    if asked not in DEVICES and not numbered:
        raise UnknownChoiceError(
            f"unknown device {asked!r}", hint=f"choose one of {', '.join(DEVICES)}, cuda:N"
        )
    name = "cuda" if numbered else asked
    return name, int(numbered[1]) if numbered else 0, check_precision(precision, device=name)


def choose_device(asked: str, precision: str | None = None) -> Device:
    """The device to open a session on, without opening one; its precision is for the file to say.

    Raises:
        UnknownChoiceError: no such device or precision; or it was asked for and cannot be had.
        MissingExtraError: OpenVINO was asked for and is not installed.
    """
    name, gpu, _ = check_request(asked, precision)
    if name == "openvino":
        check_extra()
        return Device(asked=asked, got="openvino", reason="asked for")
    if name == "cpu":
        return Device(asked=asked, got="cpu", reason="asked for")
    if obstacle := cuda_obstacle() or gpu_obstacle(gpu):
        if name != "auto":
            raise UnknownChoiceError(
                f"device {asked} cannot be used: {obstacle}", hint="use --device cpu or auto"
            )
        return Device(asked=asked, got="cpu", reason=obstacle)
    preload_cuda_libraries()
    if name == "tensorrt":
        return _tensorrt()
    reason = "asked for" if name == "cuda" else "an NVIDIA GPU was found"
    return Device(asked=asked, got="cuda", reason=reason, gpu=gpu)


def computing(device: Device, asked: Precision | None, variant: Variant | None) -> Device:
    """The device as it computes a file in fp32, or a variant.

    Where the choice was ours, a file that the GPU cannot take runs on the CPU.

    Raises:
        UnknownChoiceError: it does not, or not in the precision asked for.
    """
    if variant is None:
        precision = precision_of(asked, device=device.got, variant=None)
        return replace(device, precision=precision)
    runs_on = variant.runs_on
    if device.asked == "auto" and device.got not in runs_on:
        reason = f"the model is in {variant.precision}, which {device.got} is not given"
        device = Device(asked="auto", got="cpu", reason=reason)
    precision = precision_of(asked, device=device.got, variant=variant.precision, runs_on=runs_on)
    return replace(device, precision=precision)


def cuda_obstacle() -> str:
    """Why CUDA cannot be used here; empty if nothing speaks against it so far."""
    import onnxruntime  # 0.1 s: only where a model is opened

    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime has no CUDA (pip install onnxruntime-gpu)"
    return driver_obstacle()


def gpu_obstacle(gpu: int) -> str:
    """Why this one of the GPUs cannot be used; empty if nothing speaks against it so far."""
    if gpu == 0 or gpu < (count := gpu_count()[0]):
        return ""  # without any, `driver_obstacle` has said so
    there = "GPU, cuda:0" if count == 1 else f"GPUs, cuda:0 to cuda:{count - 1}"
    return f"the NVIDIA driver finds {count} {there}"


def driver_obstacle() -> str:
    """What the NVIDIA driver has against it."""
    return gpu_count()[1]


def gpu_count() -> tuple[int, str]:
    """How many GPUs the NVIDIA driver finds, or why none: asked directly, nothing is printed."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0, "no NVIDIA driver was found"
    if code := driver.cuInit(0):
        return 0, f"the NVIDIA driver finds no usable GPU (cuInit: error {code})"
    count = ctypes.c_int(0)
    if code := driver.cuDeviceGetCount(ctypes.byref(count)):
        return 0, f"the NVIDIA driver does not answer (cuDeviceGetCount: error {code})"
    return count.value, "" if count.value else "the NVIDIA driver finds no GPU"


def tensorrt_obstacle() -> str:
    """Why TensorRT cannot be used on a GPU that CUDA can; empty if nothing speaks against it."""
    import onnxruntime

    if TENSORRT_PROVIDER not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime has no TensorRT"
    try:
        ctypes.CDLL(TENSORRT_LIBRARY)
    except OSError:
        return f"the library {TENSORRT_LIBRARY} of TensorRT 10 was not found"
    return ""


def _tensorrt() -> Device:
    if obstacle := tensorrt_obstacle():
        raise UnknownChoiceError(
            f"device tensorrt cannot be used: {obstacle}", hint="use --device cuda or auto"
        )
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # as `use_tf32`: its provider has no such option
    return Device(asked="tensorrt", got="tensorrt", reason="asked for")


def preload_cuda_libraries() -> None:
    """Load the CUDA libraries installed by pip, where ONNX Runtime's own search misses them."""
    import onnxruntime

    # It reports what it misses by print(); the session's own providers say it more surely.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
