"""Gather the next batches' images while the device is busy with the present one.

What is gathered is decided by the caller's rows alone, in the caller's order: a fit sees the same
images with or without it, and draws nothing from chance here.
"""

import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from train.stored_images import StoredImages

AHEAD = 4  # batches: a disk that hesitates for one has the time of the others


class Prefetch:
    """Images by rows, those of the batches to come read in a thread of its own."""

    def __init__(self, images: np.ndarray | StoredImages, *, pinned: bool) -> None:
        self.images = images
        self.pinned = pinned  # in memory that a GPU fetches by itself
        self.waited = 0.0  # seconds that were spent on what was not there yet
        self._coming: deque[tuple[Tensor, Future[Tensor]]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prefetch")

    def take(self, rows: Tensor, then: Iterable[Tensor]) -> Tensor:
        """The images at `rows`; those at each of the rows that are to come are begun with."""
        started = time.perf_counter()
        images = self._taken(rows)
        self.waited += time.perf_counter() - started
        for following in islice(then, len(self._coming), AHEAD):
            self._coming.append((following, self._thread.submit(self._gather, following)))
        return images

    def _taken(self, rows: Tensor) -> Tensor:
        if self._coming and torch.equal(self._coming[0][0], rows):
            return self._coming.popleft()[1].result()
        self._coming.clear()  # it has come otherwise: another state was brought back
        return self._gather(rows)

    def _gather(self, rows: Tensor) -> Tensor:
        images = torch.from_numpy(self.images[rows.numpy()])
        return images.pin_memory() if self.pinned else images
