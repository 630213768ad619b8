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

    Of a picture in a store, those of its file. Endless where a chunk of its own is best: a series
    of many files, whose headers would be read once more, what is no picture and not here yet, and
    what cannot be read; but pictures without a readable header take no more than their files.
    """
    alone = is_one_slice(source)
    if alone and source.stored:
        return source.size()
    if source.stored or len(source.series) > most_files:
        return math.inf
    try:
        claim = claim_of(source, USUAL)
    except Exception:  # whatever it is, its row will say it, where it is read
        return source.size() if alone else math.inf
    return math.prod(claim.shape) * claim.colours * np.dtype(np.float32).itemsize
