"""Masks and anomaly maps of volumes → NIfTI that lies exactly over the scan."""

import math
from typing import Any

import numpy as np
from isal import igzip_lib

from infer.shapes import AnomalyMap, Mask
from infer.volume import Volume

_PACKING = 1  # of ISA-L's levels 0 to 3: the smallest masks, in almost the least time
_NO_WORDS = ("magic", "regular")  # fields of letters, which the format itself gives


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """A .nii.gz of the scan's own shape, affine, voxel size, codes and units: 1 where anomalous.

    Of a scan with several volumes, the mask has the shape of the first, which was scored. The
    same mask gives the same bytes.
    """
    return _encoded(volume.grid.to_file(mask).astype(np.uint8), volume, shown=(0, 1))


def encode_map(anomaly_map: AnomalyMap, volume: Volume) -> bytes:
    """The same with the map's own values in float32; viewers choose what range they show."""
    return _encoded(volume.grid.to_file(anomaly_map), volume, shown=(0, 0))


def _encoded(stored: np.ndarray, volume: Volume, *, shown: tuple[int, int]) -> bytes:
    """A .nii.gz of voxels in the file's order, with the header of the scan."""
    import nibabel

    header = volume.grid.header.copy()
    shape = header.get_data_shape()
    if math.prod(shape) == stored.size:
        stored = stored.reshape(shape)  # brings back axes of length 1, which we do not keep
    header.set_data_dtype(stored.dtype)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = shown
    _leave_out_words(header)
    kind = nibabel.Nifti2Image if header.sizeof_hdr == 540 else nibabel.Nifti1Image
    # Without an affine of its own, the image keeps the header's two, and their codes.
    whole = kind(stored, None, header).to_bytes()  # type: ignore[no-untyped-call]
    # ISA-L's packer takes a sixth of zlib's time, and its header holds no time of day.
    return igzip_lib.compress(whole, level=_PACKING, flag=igzip_lib.COMP_GZIP)


def _leave_out_words(header: Any) -> None:
    """Whatever a header says in words: the scan's may name the patient."""
    header.extensions.clear()
    for name in header.template_dtype.names:
        if header[name].dtype.kind == "S" and name not in _NO_WORDS:
            header[name] = b""
