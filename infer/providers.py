"""Which processor runs a graph: device → ONNX Runtime providers, before a session is opened.

ONNX Runtime, asked for CUDA where it cannot have it, prints C++ errors and goes on with the CPU.
So the driver is asked first; and what a session really runs on is checked by `infer.engine`.
"""

import contextlib
import ctypes
import io
import sys
from dataclasses import dataclass
from typing import Any, Literal

from infer.errors import UnknownChoiceError

DEVICES = ("auto", "cpu", "cuda")
CUDA_PROVIDER = "CUDAExecutionProvider"
CPU_PROVIDER = "CPUExecutionProvider"
INSTALL_HINT = "install the CUDA libraries with: pip install 'uad[cuda]'; or use --device cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that was asked for, the one that was got, and why."""

    asked: str
    got: Literal["cpu", "cuda"]
    reason: str

    @property
    def providers(self) -> list[Any]:
        """What ONNX Runtime is to be asked for."""
        if self.got == "cpu":
            return [CPU_PROVIDER]
        # HEURISTIC: the default tries every algorithm, up to a second for each input shape.
        # TF32 would round to 10 bits: scores must agree with the CPU's.
        options = {"cudnn_conv_algo_search": "HEURISTIC", "use_tf32": "0"}
        return [(CUDA_PROVIDER, options), CPU_PROVIDER]


def choose_device(asked: str) -> Device:
    """The device to open a session on, without opening one.

    Raises:
        UnknownChoiceError: no such device; or CUDA was asked for and cannot be had.
    """
    if asked not in DEVICES:
        raise UnknownChoiceError(
            f"unknown device {asked!r}", hint=f"choose one of {', '.join(DEVICES)}"
        )
    if asked == "cpu":
        return Device(asked=asked, got="cpu", reason="asked for")
    if obstacle := cuda_obstacle():
        if asked == "cuda":
            raise UnknownChoiceError(
                f"device cuda cannot be used: {obstacle}", hint="use --device cpu or auto"
            )
        return Device(asked=asked, got="cpu", reason=obstacle)
    preload_cuda_libraries()
    reason = "asked for" if asked == "cuda" else "an NVIDIA GPU was found"
    return Device(asked=asked, got="cuda", reason=reason)


def cuda_obstacle() -> str:
    """Why CUDA cannot be used here; empty if nothing speaks against it so far."""
    import onnxruntime  # 0.1 s: only where a model is opened

    if CUDA_PROVIDER not in onnxruntime.get_available_providers():
        return "this build of ONNX Runtime has no CUDA (pip install onnxruntime-gpu)"
    return driver_obstacle()


def driver_obstacle() -> str:
    """What the NVIDIA driver has against it: asked directly, so that nothing is printed."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "no NVIDIA driver was found"
    if code := driver.cuInit(0):
        return f"the NVIDIA driver finds no usable GPU (cuInit: error {code})"
    count = ctypes.c_int(0)
    if code := driver.cuDeviceGetCount(ctypes.byref(count)):
        return f"the NVIDIA driver does not answer (cuDeviceGetCount: error {code})"
    return "" if count.value else "the NVIDIA driver finds no GPU"


def preload_cuda_libraries() -> None:
    """Load the CUDA libraries installed by pip, where ONNX Runtime's own search misses them."""
    import onnxruntime

    # It reports what it misses by print(); the session's own providers say it more surely.
    with contextlib.redirect_stdout(io.StringIO()):
        onnxruntime.preload_dlls()
