"""Masks of volumes → NIfTI that lies exactly over the scan."""

import gzip
import math

import numpy as np

from infer.shapes import Mask
from infer.volume import Volume


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """A .nii.gz of the scan's own shape, affine, voxel size, codes and units: 1 where anomalous.

    Of a scan with several volumes, the mask has the shape of the first, which was scored. The
    same mask gives the same bytes.
    """
    import nibabel

    header = volume.grid.header.copy()
    shape = header.get_data_shape()
    stored = volume.grid.to_file(mask).astype(np.uint8)
    if math.prod(shape) == stored.size:
        stored = stored.reshape(shape)  # brings back axes of length 1, which we do not keep
    header.set_data_dtype(np.uint8)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = 0, 1
    header.extensions.clear()  # of the scan: they may name the patient
    kind = nibabel.Nifti2Image if header.sizeof_hdr == 540 else nibabel.Nifti1Image
    # Without an affine of its own, the image keeps the header's two, and their codes.
    whole = kind(stored, None, header).to_bytes()  # type: ignore[no-untyped-call]
    return gzip.compress(whole, compresslevel=1, mtime=0)
