"""Tiny NIfTI files for data sets laid out as their publishers do."""

from pathlib import Path

import nibabel
import numpy as np

SHAPE = (4, 5, 3)


def write_nifti(path: Path, *, lesion: bool = False) -> Path:
    """A volume of zeros, or with one voxel that is not."""
    voxels = np.zeros(SHAPE, np.float32)
    voxels[1, 1, 1] = float(lesion)
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)
    return path
