"""Planted scans and their masks → files of the scan's own kind, from which both read back alike.

Volumes become NIfTI that lies where the scan lies, arrays NPY, both in float32; pictures become PNG
of 16 bits, which hold the values of 8 as exactly.
"""

import cv2
import numpy as np

from infer.shapes import Mask, Voxels
from infer.volume import Volume
from infer.writers import array, image, nifti
from train.datasets.case import BadDatasetError

WHITE = 2**16 - 1


def ending_of(volume: Volume) -> str:
    """What a planted scan's file is called after.

    Raises:
        BadDatasetError: there is no format that keeps what the scan is.
    """
    if volume.unit == "modality":
        return ".npy" if volume.grid.header is None else ".nii.gz"
    if volume.voxels.ndim == 3 and volume.grid.header is None:
        return ".png"
    raise BadDatasetError(
        "is a stack of pictures, which have no values of a scanner",
        hint="save it as NIfTI, or each of its pictures by itself",
    )


def as_stored(voxels: np.ndarray, volume: Volume) -> np.ndarray:
    """What reads back of values that are stored in a file of this scan's kind."""
    if volume.unit == "modality":
        return voxels.astype(np.float32)
    return np.round(voxels * WHITE).astype(np.float32) / np.float32(WHITE)


def encode_scan(voxels: Voxels, volume: Volume) -> bytes:
    """A file of voxels on the scan's grid."""
    ending = ending_of(volume)
    if ending == ".nii.gz":
        return nifti.encode_map(voxels[0], volume)
    if ending == ".npy":
        return array.encode_map(voxels[0], volume)
    planes = np.round(voxels[::-1] * WHITE).astype(np.uint16)  # blue, green, red
    stored = planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)
    return bytes(cv2.imencode(".png", np.ascontiguousarray(stored))[1])


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """A file of the same ending: not 0 where the scan is abnormal."""
    ending = ending_of(volume)
    if ending == ".nii.gz":
        return nifti.encode_mask(mask, volume)
    if ending == ".npy":
        return array.encode_mask(mask, volume)
    return image.encode_mask(mask, volume)
