"""Group scans that look nearly alike: neighbouring slices of one head where no patient is named."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from infer.errors import UnreadableScanError
from infer.images import images_of
from infer.intensity import Intensity
from infer.preprocessing import UNPROCESSED
from infer.readers import read

THUMBNAIL = (32, 32)
_AS_SEEN = Intensity(recipe="percentile", low=0, high=100, output_low=0, output_high=1)


def groups_of(scans: Sequence[Path], *, above: float) -> list[str]:
    """One group per scan, the name of its first member.

    Scans whose thumbnails correlate `above` share a group, and so do those they share it with.
    An unreadable scan is a group of its own.
    """
    with ThreadPoolExecutor() as pool:
        thumbnails = np.stack(list(pool.map(_thumbnail, scans)))
    numbers = grouped(thumbnails, above=above)
    first: dict[int, str] = {}
    for number, scan in sorted(zip(numbers, scans, strict=True), key=lambda pair: pair[1]):
        first.setdefault(number, scan.stem)
    return [first[number] for number in numbers]


def grouped(thumbnails: np.ndarray, *, above: float) -> list[int]:
    """A group number for each of `(scan, pixel)`."""
    from scipy.sparse import csr_array  # a tenth of a second at start-up
    from scipy.sparse.csgraph import connected_components

    centred = thumbnails - thumbnails.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    alike = centred / np.maximum(lengths, np.finfo(np.float32).eps)
    _, numbers = connected_components(csr_array(alike @ alike.T > above), directed=False)
    return [int(number) for number in numbers]


def _thumbnail(scan: Path) -> np.ndarray:
    try:
        images = images_of(
            read(scan),
            channels=1,
            intensity=_AS_SEEN,
            preprocessing=UNPROCESSED,
            plane="axial",
            image_size=THUMBNAIL,
        )
    except UnreadableScanError:
        return np.zeros(THUMBNAIL, np.float32).ravel()
    return np.asarray(images[len(images) // 2].ravel())
