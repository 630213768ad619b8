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

BATCH_SIZE = 16
# The fastest PNG settings found for masks: run lengths, no filters.
MASK_ENCODING = (
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
)


def rate(work: Callable[[Any], Any], items: Sequence[Any], *, threads: int, images: int) -> float:
    """Images per second of `work` over `items`; the better of two passes."""
    passes = []
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(2):
            start = time.perf_counter()
            list(pool.map(work, items))
            passes.append(time.perf_counter() - start)
    return images / min(passes)


def decoding(scans: Sequence[Path]) -> float:
    """Reading and decoding only."""
    return rate(_decode, scans, threads=cores(), images=len(scans))


def model(path: Path, *, channels: int, image_size: Sequence[int], images: int) -> float:
    """The graph on batches in memory, with the best division of the cores found."""
    noise = np.random.default_rng(0)
    batch = noise.random((BATCH_SIZE, channels, *image_size), dtype=np.float32)
    batches = [batch] * max(4, images // BATCH_SIZE)

    def with_threads(sessions: int) -> float:
        session = _session(path, threads=cores() // sessions)
        return rate(
            lambda images: session.run(["anomaly_map", "score"], {"image": images}),
            batches,
            threads=sessions,
            images=len(batches) * BATCH_SIZE,
        )

    return max(with_threads(sessions) for sessions in {1, cores()})


def encoding(masks: Sequence[Path], out: Path) -> float:
    """Encoding and writing masks that are in memory."""
    out.mkdir()
    pictures = [(out / f"{at}.png", cv2.imread(str(path), 0)) for at, path in enumerate(masks)]
    return rate(_encode, pictures, threads=cores(), images=len(pictures))


def best_pipeline(rates: Sequence[float]) -> float:
    """Images per second if the cores did nothing but these stages, and were never idle.

    Each rate is of all cores, so its inverse is the time that an image takes from all of them.
    """
    return 1 / sum(1 / rate for rate in rates)


def _decode(path: Path) -> None:
    cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)


def _encode(picture: tuple[Path, np.ndarray]) -> None:
    path, mask = picture
    path.write_bytes(cv2.imencode(".png", mask, MASK_ENCODING)[1].tobytes())


def _session(path: Path, *, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
