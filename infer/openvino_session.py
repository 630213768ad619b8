"""OpenVINO in the place of an ONNX Runtime session: the same graph on the same CPU's cores.

It knows nothing of manifests and contracts: `infer.engine` opens a file with ONNX Runtime first,
which refuses what is no model of ours, weights in a second file among it.
"""

import re
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from infer.errors import BadModelError, MissingExtraError, UnknownChoiceError
from infer.precision import WHERE, Precision

CPU = "CPU"
NAMES = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}  # as OpenVINO calls them
INSTALL_HINT = "pip install 'uad[openvino]'"


class OpenVinoSession:
    """Answers as an ONNX Runtime session does. Threads may share it."""

    def __init__(
        self,
        graph: bytes,
        outputs: Sequence[Any],
        *,
        precision: Precision,
        threads: int,
        workers: int,
        where: str,
    ) -> None:
        self._graph = graph
        self._outputs = list(outputs)
        self._core = library().Core()
        self._check_processor(precision)
        self._settings = {
            # Left to itself it computes in bf16, silently, wherever the processor can.
            "INFERENCE_PRECISION_HINT": NAMES[precision],
            # One stream for each worker, so that none waits for another.
            "NUM_STREAMS": workers,
            "INFERENCE_NUM_THREADS": threads * workers,
            # Two processes would be pinned to the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._compiling = threading.Lock()
        self._of_thread = threading.local()  # a request serves one caller at a time
        self._model = self._read(where)

    def get_outputs(self) -> list[Any]:
        """What the graph gives, in its own order."""
        return self._outputs

    def get_providers(self) -> list[str]:
        """What the graph runs on."""
        return ["OpenVINO CPU"]

    def run(self, names: Sequence[str], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The outputs of these names."""
        answers = self._request(feeds["image"].shape).infer(dict(feeds))
        return [answers[name] for name in names]  # copies: the next call does not change them

    def settings(self, shape: tuple[int, ...]) -> dict[str, str]:
        """What the plugin says it does with images of this shape, to be checked against."""
        compiled = self._compiled_for(shape)
        return {name: str(compiled.get_property(name)) for name in self._settings}

    def _request(self, shape: tuple[int, ...]) -> Any:
        requests = vars(self._of_thread).setdefault("requests", {})
        if shape not in requests:
            requests[shape] = self._compiled_for(shape).create_infer_request()
        return requests[shape]

    def _compiled_for(self, shape: tuple[int, ...]) -> Any:
        """The graph for one shape, batch size included: 1.1 to 1.8 times as fast as for any."""
        with self._compiling:
            if shape not in self._compiled:
                model = self._model.clone()
                model.reshape({"image": list(shape)})
                self._compiled[shape] = self._core.compile_model(model, CPU, self._settings)
            return self._compiled[shape]

    def _check_processor(self, precision: Precision) -> None:
        """Asked for what the processor lacks, the plugin would silently take something else."""
        can = self._core.get_property(CPU, "OPTIMIZATION_CAPABILITIES")
        if precision.upper() not in can:
            had = ", ".join(name for name in NAMES if name.upper() in can)
            raise UnknownChoiceError(
                f"precision {precision} cannot be had: this processor computes in {had}", hint=WHERE
            )

    def _read(self, where: str) -> Any:
        try:
            return self._core.read_model(self._graph)
        except Exception as error:  # RuntimeError and pybind11 classes of its own
            raise BadModelError(
                f"{where}: OpenVINO cannot open it ({_why(str(error))})", hint="use --device cpu"
            ) from error


def _why(message: str) -> str:
    """OpenVINO's reason, without the places in its sources where it came up."""
    if lacking := re.search(r"No conversion rule found for operations: ([^\n]*)", message):
        return f"it lacks the operations {lacking[1]}"
    return " ".join(message.split())[:300]


def check_extra() -> None:
    """See that OpenVINO is installed, without importing it.

    Raises:
        MissingExtraError: it is not.
    """
    if find_spec("openvino") is None:
        raise MissingExtraError(
            "device openvino needs the package openvino, which is not installed", hint=INSTALL_HINT
        )


def library() -> Any:
    """OpenVINO, imported.

    Raises:
        MissingExtraError: that fails.
    """
    # Importing it tells its makers so, over the network, where this package is installed too.
    # Scans are confidential: nothing here calls anybody.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino  # 0.4 s
    except ImportError as error:
        raise MissingExtraError(
            f"device openvino: the package openvino cannot be imported ({error})",
            hint=INSTALL_HINT,
        ) from error
    return openvino
