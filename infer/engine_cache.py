"""Where TensorRT keeps the engines that it has built, so that the next run need not build them.

Building one takes TensorRT minutes. What it keeps is found again by names of the graph's nodes,
which all models of one method share: weights play no part in it. So each file has a folder of its
own here, and each version of the libraries, whose engines the others cannot take.
"""

import ctypes
from pathlib import Path

from infer.errors import BadOutputError, UnknownChoiceError
from infer.providers import TENSORRT_LIBRARY


def check_cache(folder: Path | None, *, device: str) -> None:
    """See that there is something to keep.

    Raises:
        UnknownChoiceError: only TensorRT builds engines.
    """
    if folder is not None and device != "tensorrt":
        raise UnknownChoiceError(
            "tensorrt-cache concerns --device tensorrt, which was not asked for",
            hint="add --device tensorrt, or leave --tensorrt-cache out",
        )


def cache_of(folder: Path, *, sha256: str) -> Path:
    """The folder for one model file, made if it is not there.

    Raises:
        BadOutputError: it cannot be made.
    """
    place = folder / sha256 / _versions()
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadOutputError(
            f"{place} could not be written: {error.strerror}",
            hint="choose another --tensorrt-cache",
        ) from error
    return place


def _versions() -> str:
    import onnxruntime

    tensorrt = ctypes.CDLL(TENSORRT_LIBRARY).getInferLibVersion()  # 10.13.2 is 101302
    return f"onnxruntime-{onnxruntime.__version__}-tensorrt-{tensorrt}"
