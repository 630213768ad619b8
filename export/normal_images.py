"""Prepared images of validation normals as a model's graph takes them, without reading a scan."""

import numpy as np

from export.calibration import CalibrationError
from export.release import as_taken
from infer.intensity import standardise
from infer.manifest import Manifest
from infer.shapes import Images
from train.data import open_images

AT_MOST = 128  # evenly spaced over all there are: what each layer makes of them is held in memory


def normal_images(study: str, manifest: Manifest) -> Images:
    """Images or, of a model that takes patches, as many patches.

    Raises:
        UadError: the study has not been prepared.
        CalibrationError: no validation image is normal.
    """
    stored, abnormal = open_images(study, "validation")
    normal = stored.of(~abnormal)
    if not len(normal):
        raise CalibrationError(
            "no validation image is normal: there is nothing to calibrate on",
            hint="the study's split leaves none; lower split.normal_folds or add normal scans",
        )
    chosen = np.unique(np.linspace(0, len(normal) - 1, min(AT_MOST, len(normal))).round())
    low, high = manifest.intensity.output_low, manifest.intensity.output_high
    ranged = np.ascontiguousarray(normal[chosen.astype(int)] * (high - low) + low, np.float32)
    taken = standardise(ranged, manifest.channel_mean, manifest.channel_std)
    return as_taken(taken, manifest.patches)
