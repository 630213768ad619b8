"""Cases → the images that networks see, read as the product reads them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infer.errors import UnreadableScanError
from infer.finding import images_of
from infer.readers import read
from infer.readers.choice import seen_along
from infer.shapes import Images
from infer.volumetric import images_reached
from train.data import DataConfig
from train.datasets.case import Case


class Stored(NamedTuple):
    """The images of one scan, and which of them show nothing abnormal."""

    images: Images
    normal: np.ndarray


def read_all(
    cases: Sequence[Case], data: DataConfig, report: Callable[[str], None]
) -> dict[Path, Stored]:
    """Images by scan, of all that can be read; the others are reported and left out."""
    stored: dict[Path, Stored] = {}
    with ThreadPoolExecutor() as pool:
        for case, result in zip(cases, pool.map(lambda it: _try(it, data), cases), strict=True):
            if isinstance(result, Stored):
                stored[case.scan] = result
            else:
                report(f"skipped {case.scan}: {result}")
    if broken := len(cases) - len(stored):
        report(f"{broken} of {len(cases)} scans were skipped")
    return stored


def _try(case: Case, data: DataConfig) -> Stored | UnreadableScanError:
    try:
        return _stored(case, data)
    except UnreadableScanError as error:
        return error


def _stored(case: Case, data: DataConfig) -> Stored:
    choice = seen_along(data.plane)
    volume = read(case.scan, choice)
    images = images_of(
        volume,
        channels=data.channels,
        intensity=data.intensity.to_range(0.0, 1.0),
        preprocessing=data.preprocessing,
        plane=data.plane,
        image_size=data.image_size,
    )
    if case.normal or case.mask is None:
        return Stored(images, np.full(len(images), case.normal))
    mask = read(case.mask, choice).voxels
    if mask.shape[1:] != volume.voxels.shape[1:]:
        raise UnreadableScanError(f"its mask {case.mask} is not of the scan's size")
    # A slice that a lesion does not reach is a normal slice of an abnormal scan; a whole volume
    # that no lesion reaches is normal.
    reached = images_reached((mask != 0).any(axis=0), data.plane, data.image_size)
    return Stored(images, np.logical_not(reached))
