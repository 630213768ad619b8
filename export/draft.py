"""A manifest while it is being filled: before calibration nothing is above its thresholds."""

from dataclasses import replace

from export.calibration import UNCALIBRATED, Calibration, ExportConfig
from infer.manifest import SCHEMA, Manifest, Normals, Parity, Provenance, SelfTest
from infer.patches import Patches
from train.data import DataConfig

OF_THE_MAP = "the highest value of its map, as the mask is cut from it"
NO_NORMALS = Normals(scores=(), intensity_mean=(), intensity_std=(), sizes=(), spacings_mm=())
NO_SELF_TEST = SelfTest(score=0.0, peak_value=0.0, tolerance=0.0)
NO_PARITY = Parity(
    reconstruction=None, anomaly_map=0.0, score=0.0, images=0, measured_on="nothing yet"
)


def draft_manifest(
    data: DataConfig,
    config: ExportConfig,
    *,
    study: str,
    method: str,
    intensity_range: tuple[float, float],
    channel_mean: tuple[float, ...] = (),
    channel_std: tuple[float, ...] = (),
    score_recipe: str,
    provenance: Provenance,
    patches: Patches | None = None,
) -> Manifest:
    """All that is known before anything has been scored."""
    return Manifest(
        schema=SCHEMA,
        study=study,
        method=method,
        modality=data.modality,
        channels=data.channels,
        image_size=data.image_size,
        plane=data.plane,
        intensity=data.intensity.to_range(*intensity_range),
        preprocessing=data.preprocessing,
        score_recipe=score_recipe
        if config.aggregation.slice_score == "graph"
        else f"{OF_THE_MAP} (the graph's own, not used: {score_recipe})",
        aggregation=config.aggregation,
        anomalous_by=config.anomalous_by,
        score_threshold=UNCALIBRATED,
        map_threshold=UNCALIBRATED,
        postprocessing=config.postprocessing,
        normals=NO_NORMALS,
        self_test=NO_SELF_TEST,
        parity=NO_PARITY,
        provenance=provenance,
        channel_mean=channel_mean,
        channel_std=channel_std,
        patches=patches,
        slice_range=data.slice_range,
        colours=data.colours,
    )


def calibrated(manifest: Manifest, found: Calibration) -> Manifest:
    """The manifest with the thresholds and normals that validation gave."""
    return replace(
        manifest,
        score_threshold=found.score_threshold,
        map_threshold=found.map_threshold,
        normals=found.normals,
    )
