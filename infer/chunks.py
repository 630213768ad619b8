"""Which scans a worker is given at a time: enough to fill a batch, few enough to bound memory."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from infer.readers.choice import USUAL
from infer.readers.reading import claim_of, is_one_slice
from infer.readers.source import Source
from infer.worker import Task

CHUNK_BYTES = 32 * 2**20


def in_chunks(tasks: Iterable[Task], *, size: int) -> Iterator[list[Task]]:
    """Consecutive scans up to a batch, fewer if they are large; a large one by itself."""
    chunk: list[Task] = []
    weight = 0.0
    for task in tasks:
        own = _weight(task.source, most_files=size)
        if own > CHUNK_BYTES:
            yield [task]
            continue
        chunk.append(task)
        weight += own
        if len(chunk) == size or weight >= CHUNK_BYTES:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def _weight(source: Source, *, most_files: int) -> float:
    """Bytes of a scan's voxels, by its header: what bounds a chunk.

    Where no header can be read, here or yet, those of a picture's file, and of all else endless: a
    chunk of its own. So is a series of many files, whose headers would be read once more.
    """
    if len(source.series) > most_files:
        return math.inf
    try:
        claim = None if source.stored else claim_of(source, USUAL)
    except Exception:  # whatever it is, its row will say it, where it is read
        claim = None
    if claim is None:
        return source.size() if is_one_slice(source) else math.inf
    return math.prod(claim.shape) * claim.colours * np.dtype(np.float32).itemsize
