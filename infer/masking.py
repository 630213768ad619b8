"""Anomaly map → mask: threshold, closing, small components, lesions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Postprocessing:
    """What happens to a thresholded map. Sizes are those of the scan's own grid."""

    closing_radius_px: int  # in each slice; 0: no closing
    smallest_lesion_px: int  # smaller components are dropped; voxels for volumes
