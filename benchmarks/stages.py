"""How fast each part of scoring a folder can go alone, with every core at its service."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from benchmarks.machine import cores
from infer import png
from infer.batch import BATCH_SIZES
from infer.readers.choice import USUAL
from infer.readers.picture_file import checked

PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider"]}
# OpenCV's fastest PNG settings for masks: run lengths, no filters.
MASK_ENCODING = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


def rate(work: Callable[[Any], Any], items: Sequence[Any], *, threads: int, images: int) -> float:
    """Images per second of `work` over `items`."""
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(work, items))
        return images / (time.perf_counter() - start)


def decoding(scans: Sequence[Path]) -> float:
    """Reading and decoding by OpenCV, as a script does it."""
    return rate(_decode, scans, threads=cores(), images=len(scans))


def own_decoding(scans: Sequence[Path]) -> float:
    """Reading and decoding as `uad-infer` does it: checked, and inflated by ISA-L."""
    return rate(_decode_checked, scans, threads=cores(), images=len(scans))


def model(
    path: Path, *, channels: int, image_size: Sequence[int], images: int, device: str = "cpu"
) -> float:
    """The graph on a batch that lies on the device, with the better division of the cores."""
    noise = np.random.default_rng(0)
    size = BATCH_SIZES[device]
    batch = noise.random((size, channels, *image_size), dtype=np.float32)
    resident = onnxruntime.OrtValue.ortvalue_from_numpy(batch, device, 0)
    batches = max(4, images // size)

    def with_threads(sessions: int) -> float:
        session = _session(path, threads=cores() // sessions, device=device)

        def run(_: int) -> None:
            bound = session.io_binding()
            bound.bind_ortvalue_input("image", resident)
            for name in ("anomaly_map", "score"):
                bound.bind_output(name, device)
            session.run_with_iobinding(bound)

        return rate(run, range(batches), threads=sessions, images=batches * size)

    return max(with_threads(sessions) for sessions in ({1, cores()} if device == "cpu" else {1}))


def encoding(masks: Sequence[Path], out: Path) -> float:
    """Encoding by OpenCV, and writing, masks that are in memory."""
    return rate(_encode, _pictures(masks, out), threads=cores(), images=len(masks))


def own_encoding(masks: Sequence[Path], out: Path) -> float:
    """The same by ISA-L."""
    return rate(_encode_by_isal, _pictures(masks, out), threads=cores(), images=len(masks))


def best_pipeline(rates: Sequence[float]) -> float:
    """Images per second if the cores did nothing but these stages, and were never idle.

    Each rate is of all cores, so its inverse is the time that an image takes from all of them.
    """
    return 1 / sum(1 / rate for rate in rates)


def _decode(path: Path) -> None:
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


def _decode_checked(path: Path) -> None:
    whole = checked(path.read_bytes(), name=path.name, choice=USUAL)
    cv2.imdecode(np.frombuffer(whole.content, np.uint8), cv2.IMREAD_UNCHANGED)


def _pictures(masks: Sequence[Path], out: Path) -> list[tuple[Path, np.ndarray]]:
    """Masks in memory, and where each is to be written."""
    out.mkdir(parents=True)
    return [
        (out / f"{at}.png", np.asarray(cv2.imread(str(path), 0))) for at, path in enumerate(masks)
    ]


def _encode(picture: tuple[Path, np.ndarray]) -> None:
    path, mask = picture
    path.write_bytes(cv2.imencode(".png", mask, MASK_ENCODING)[1].tobytes())


def _encode_by_isal(picture: tuple[Path, np.ndarray]) -> None:
    path, mask = picture
    path.write_bytes(png.encode_grey(mask))


def _session(path: Path, *, threads: int, device: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=PROVIDERS[device])
