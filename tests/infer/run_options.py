"""What a run of `uad-infer` is asked for in tests, where a test does not care."""

from infer.options import Options

PLAIN = {
    "device": "cpu",
    "precision": None,
    "batch_size": 4,
    "workers": 2,
    "threshold": None,
    "map_threshold": None,
    "overlays": "none",
    "maps": False,
    "dicom_seg": False,
    "keep_identifiers": False,
    "overwrite": False,
    "volume": 0,
    "max_voxels": 2**29,
    "max_failures": None,
    "part": None,
    "executor": "local",
    "ray_address": None,
    "retries": None,
    "require_signature": None,
    "tensorrt_cache": None,
}


def options(**changed):
    """Plain options, but for those that are named."""
    return Options(**PLAIN | changed)
