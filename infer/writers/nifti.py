"""Masks and anomaly maps of volumes → NIfTI that lies exactly over the scan."""

import io
import math
from typing import Any

import numpy as np
from isal import isal_zlib

from infer.shapes import AnomalyMap, Mask
from infer.volume import Volume

_PACKING = 1  # of ISA-L's levels 0 to 3: the smallest masks, in almost the least time
_GZIP = 31  # of zlib's `wbits`: with gzip's header and checksum
_NO_WORDS = ("magic", "regular")  # fields of letters, which the format itself gives


def encode_mask(mask: Mask, volume: Volume) -> bytes:
    """A .nii.gz of the scan's own shape, affine, voxel size, codes and units: 1 where anomalous.

    Of a scan with several volumes, the mask has the shape of the first, which was scored. The
    same mask gives the same bytes.
    """
    return _encoded(volume.grid.to_file(mask), volume, np.uint8, shown=(0, 1))


def encode_map(anomaly_map: AnomalyMap, volume: Volume) -> bytes:
    """The same with the map's own values in float32; viewers choose what range they show."""
    return _encoded(volume.grid.to_file(anomaly_map), volume, np.float32, shown=(0, 0))


def _encoded(stored: np.ndarray, volume: Volume, kind: type, shown: tuple[int, int]) -> bytes:
    """A .nii.gz of voxels in the file's order, with the header of the scan."""
    header = volume.grid.header.copy()
    shape = header.get_data_shape()
    if math.prod(shape) != stored.size:  # else with the axes of length 1, which we do not keep
        header.set_data_shape(stored.shape)
    header.set_data_dtype(kind)
    header.set_slope_inter(1, 0)
    header["cal_min"], header["cal_max"] = shown
    header["magic"] = header.single_magic
    header.set_data_offset(0)  # as near as can be: writing sets it
    _leave_out_words(header)
    start = io.BytesIO()
    header.write_to(start)
    start.write(bytes(header.get_data_offset() - start.tell()))
    # The first axis runs fastest. ISA-L takes a sixth of zlib's time, and notes no time of day.
    voxels = np.ascontiguousarray(stored.T, header.get_data_dtype())
    packer = isal_zlib.compressobj(_PACKING, wbits=_GZIP)
    return b"".join([packer.compress(start.getvalue()), packer.compress(voxels), packer.flush()])


def _leave_out_words(header: Any) -> None:
    """Whatever a header says in words: the scan's may name the patient."""
    header.extensions.clear()
    for name in header.template_dtype.names:
        if header[name].dtype.kind == "S" and name not in _NO_WORDS:
            header[name] = b""
