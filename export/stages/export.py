"""Stage `export`: a checkpoint → one self-contained ONNX file, checked, calibrated, registered.

`python -m export.stages.export params.yaml cae`. Thresholds come from validation scans, read and
scored by the exported file itself through `infer`.
"""

import json
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from export import onnx_file, parity, registry
from export.calibration import ExportConfig, calibrate
from export.draft import calibrated, draft_manifest
from export.graph import ExportedGraph, in_words
from export.scan_scores import THREADS, score_scans
from infer.engine import OnnxEngine, open_engine
from infer.manifest import Manifest, Provenance, SelfTest
from infer.self_test import measure as measure_self_test
from infer.shapes import Images
from train import checkpoint
from train.command import run_stage
from train.data import DataConfig, data_hash, load_cases, load_images
from train.params import Params, build
from train.paths import checkpoint_path, model_path
from train.provenance import git_state, library_versions
from train.recipes import find
from train.scores import Scorer, ScoreRecipe

PARITY_IMAGES = 32
# Score and peak on other processors, and on GPUs that multiply with shorter mantissas.
SELF_TEST_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A checkpoint brought back to life."""

    graph: ExportedGraph
    intensity_range: tuple[float, float]
    score_recipe: str  # in words
    metadata: dict[str, str]


def export(params: Params, method: str) -> None:
    """Export one method's checkpoint.

    Raises:
        ParityError: the file does not say what the model says.
        CalibrationError: validation does not allow the thresholds asked for.
    """
    study = params.study
    data = params.block(DataConfig, "data")
    config = params.block(ExportConfig, "export")
    fitted = load_fitted(checkpoint_path(study, method), method, data)
    images = parity_images(study, fitted.intensity_range)
    model = onnx_file.to_onnx(fitted.graph, torch.from_numpy(images))
    manifest = draft_manifest(
        data,
        config,
        study=study,
        method=method,
        intensity_range=fitted.intensity_range,
        score_recipe=fitted.score_recipe,
        provenance=provenance_of(fitted, study),
    )
    engine = open_draft(model, manifest)
    same = parity.measure(
        fitted.graph, engine, images, measured_on="prepared validation images, batches of 1 and all"
    )
    validation = [it.case for it in load_cases(study) if it.split == "validation"]
    found = calibrate(score_scans(validation, manifest, engine), config)
    manifest = replace(calibrated(manifest, found), parity=same)
    score, peak_value = measure_self_test(engine, manifest)
    expected = SelfTest(score=score, peak_value=peak_value, tolerance=SELF_TEST_TOLERANCE)
    manifest = replace(manifest, self_test=expected)
    path = model_path(study, method)
    onnx_file.write(path, model, manifest)
    version = registry.register(
        path,
        study=study,
        method=method,
        run_id=fitted.metadata["run_id"],
        example=images[:2],
    )
    _tell(path, manifest, version)


def open_draft(model: onnx.ModelProto, manifest: Manifest) -> OnnxEngine:
    """An engine on the file as it will be, but for what running it will tell."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{manifest.method}.onnx"
        onnx_file.write(draft, model, manifest)
        return open_engine(draft, device="cpu", threads=THREADS)


def load_fitted(path: Path, method: str, data: DataConfig) -> Fitted:
    """The model of a checkpoint under the score recipe chosen for it, in eval mode."""
    weights, metadata = checkpoint.load(path)
    recipe = find(method)
    config: Any = build(recipe.config, json.loads(metadata["config"]), where=str(path))
    score = build(ScoreRecipe, json.loads(metadata["score_recipe"]), where=str(path))
    model = recipe.model(config, data.channels, data.image_size)
    model.load_state_dict(weights)
    return Fitted(
        graph=ExportedGraph(model, Scorer(score)),
        intensity_range=config.intensity_range,
        score_recipe=in_words(metadata["score"], score),
        metadata=metadata,
    )


def parity_images(study: str, intensity_range: tuple[float, float]) -> Images:
    """Prepared validation images in the method's range, evenly spaced over all there are."""
    images, _ = load_images(study, "validation")
    chosen = np.unique(np.linspace(0, len(images) - 1, PARITY_IMAGES).round().astype(int))
    low, high = intensity_range
    return np.ascontiguousarray(images[chosen] * (high - low) + low, np.float32)


def provenance_of(fitted: Fitted, study: str) -> Provenance:
    """Which fit, code, data and libraries a file comes from."""
    git = git_state()
    return Provenance(
        mlflow_run_id=fitted.metadata["run_id"],
        git_commit=git.commit,
        git_dirty=git.dirty,
        data_hash=data_hash(study),
        seed=int(fitted.metadata["seed"]),
        versions=library_versions(),
    )


def _tell(path: Path, manifest: Manifest, version: str) -> None:
    same = manifest.parity
    print(f"{path}: version {version} of uad-{manifest.study}-{manifest.method} in MLflow")
    print(
        f"  score threshold {manifest.score_threshold.value:.4g}: "
        f"{manifest.score_threshold.chosen_by}"
    )
    print(f"  map threshold {manifest.map_threshold.value:.4g}: {manifest.map_threshold.chosen_by}")
    print(
        f"  torch and ONNX Runtime differ by {same.anomaly_map:.1g} (map), {same.score:.1g} "
        f"(score) on {same.images} images"
    )


if __name__ == "__main__":
    sys.exit(run_stage(export, sys.argv[1:]))
