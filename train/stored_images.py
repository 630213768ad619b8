"""Images of a store that stay on the disk until they are asked for.

A store of 700 brains at 256 × 256 pixels is larger than most machines' memory, and a batch of it is
four megabytes: rows are looked up in a memory-map, and become float32 in [0, 1] as they are taken.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from infer.shapes import Images

# What an image's values are stored as. An image in [0, 1] comes back within 2^-12 from float16,
# whose numbers just below 1 lie 2^-11 apart, and within half a level of 255 from uint8.
StoreType = Literal["float32", "float16", "uint8"]

WHITE = np.float32(255)  # of uint8
AT_ONCE = 256  # rows that a pass over all of them holds


def as_stored(images: Images, kind: StoreType) -> np.ndarray:
    """Images in [0, 1] as a store of this type holds them; float32 is left as it is."""
    if kind == "uint8":
        # Beyond [0, 1] only by rounding; yet 256 would be stored as black.
        return np.rint(images.clip(0, 1) * WHITE).astype(np.uint8)
    return images.astype(kind, copy=False)


def as_images(stored: np.ndarray) -> np.ndarray:
    """What `as_stored` was given, but for its rounding: a copy in float32."""
    images = stored.astype(np.float32)
    if stored.dtype == np.uint8:
        images /= WHITE
    return images


@dataclass(frozen=True, slots=True, eq=False)
class StoredImages:
    """Some images of a store `(row, channel, *pixels)`, in an order of their own.

    Indexed as an array is along its first axis, and only there; what comes out is an array.
    """

    store: np.ndarray  # memory-mapped
    rows: np.ndarray  # of the store: which they are

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int | np.integer | slice | np.ndarray) -> np.ndarray:
        return as_images(self.store[self.rows[at]])

    @property
    def shape(self) -> tuple[int, ...]:
        """As of the array that they would be: `(image, channel, *pixels)`."""
        return len(self.rows), *self.store.shape[1:]

    def of(self, which: np.ndarray) -> "StoredImages":
        """Some of them, by number or by truth, without reading any."""
        return StoredImages(self.store, self.rows[which])

    def parts(self, count: int = AT_ONCE) -> Iterator[np.ndarray]:
        """All of them, `count` at a time."""
        for start in range(0, len(self), count):
            yield self[start : start + count]

    def mean(self, axis: Literal[0]) -> np.ndarray:
        """Their mean `(channel, *pixels)`; summed in double precision, as there may be many."""
        total = np.zeros(self.shape[1:])
        for part in self.parts():
            total += part.sum(axis=axis, dtype=np.float64)
        return (total / len(self)).astype(np.float32)

    def std(self, axis: Literal[0]) -> np.ndarray:
        """Their standard deviation `(channel, *pixels)`."""
        middle = self.mean(axis)
        total = np.zeros(self.shape[1:])
        for part in self.parts():
            total += np.square(part - middle, dtype=np.float64).sum(axis=axis)
        return np.sqrt(total / len(self)).astype(np.float32)
