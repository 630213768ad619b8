"""A graph becomes the file that ships: compared with torch, calibrated, and told its self-test.

Thresholds come from validation scans, read and scored by the exported file itself through `infer`.
"""

import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch

from export import onnx_file, parity
from export.calibration import ExportConfig, calibrate, odds_threshold
from export.draft import calibrated
from export.graph import Graph
from export.remembering import remembers
from export.scan_scores import THREADS, score_scans
from infer.engine import OnnxEngine, open_engine
from infer.intensity import standardise
from infer.manifest import Manifest, SelfTest
from infer.patches import Patches, cover
from infer.self_test import measure as measure_self_test
from infer.shapes import Images
from train.batches import AS_THEY_ARE, ChannelScale, at_once
from train.data import open_images
from train.datasets.case import Case
from train.patches import evenly

PARITY_IMAGES = 32
# Score and peak on other processors, and on GPUs that multiply with shorter mantissas.
SELF_TEST_TOLERANCE = 0.01
HOLDS_SCANS = "  it remembers healthy training scans: hand it on only where they may go"


def release(
    path: Path,
    graph: Graph,
    draft: Manifest,
    config: ExportConfig,
    *,
    images: Images,
    validation: Iterable[Case],
) -> Manifest:
    """Write the file that ships, and return what it says of itself.

    Args:
        images: in the graph's range: what torch and the file are compared on.

    Raises:
        ParityError: the file does not say what the graph says.
        CalibrationError: validation does not allow the thresholds asked for.
    """
    model = onnx_file.to_onnx(graph, torch.from_numpy(images))
    engine = open_draft(model, draft)
    same = parity.measure(
        graph, engine, images, measured_on="prepared validation images, batches of 1 and all"
    )
    found = calibrate(
        score_scans(validation, draft, engine),
        config,
        map_threshold=odds_threshold(graph.map_at_odds, config.map_odds),
    )
    manifest = replace(calibrated(draft, found), parity=same)
    score, peak_value = measure_self_test(engine, manifest)
    expected = SelfTest(
        score=score,
        peak_value=peak_value,
        tolerance=SELF_TEST_TOLERANCE,
        score_zero=graph.score_zero if manifest.aggregation.slice_score == "graph" else 0.0,
    )
    manifest = replace(manifest, self_test=expected)
    onnx_file.write(path, model, manifest)
    return manifest


def open_draft(model: onnx.ModelProto, manifest: Manifest) -> OnnxEngine:
    """An engine on the file as it will be, but for what running it will tell."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{manifest.method}.onnx"
        onnx_file.write(draft, model, manifest)
        return open_engine(draft, device="cpu", threads=THREADS)


def parity_images(
    study: str,
    intensity_range: tuple[float, float],
    scale: ChannelScale = AS_THEY_ARE,
    patches: Patches | None = None,
) -> Images:
    """Prepared validation images as the graph takes them, evenly spaced over all there are."""
    images, _ = open_images(study, "validation")
    count = max(2, min(PARITY_IMAGES, at_once(images.shape[2:])))
    chosen = np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))
    if len(chosen) == 1:  # a batch of more than one is compared, too
        chosen = np.repeat(chosen, 2)
    low, high = intensity_range
    ranged = np.ascontiguousarray(images[chosen] * (high - low) + low, np.float32)
    return as_taken(standardise(ranged, scale.mean, scale.std), patches)


def as_taken(images: Images, patches: Patches | None) -> np.ndarray:
    """Images as a graph takes them: whole, or as many patches of them."""
    return images if patches is None else evenly(cover(images, patches), len(images))


def in_words(path: Path, manifest: Manifest, version: str) -> str:
    """What was written, for the terminal."""
    same = manifest.parity
    return "\n".join(
        (
            f"{path}: version {version} of uad-{manifest.study}-{manifest.method} in MLflow",
            f"  score threshold {manifest.score_threshold.value:.4g}: "
            f"{manifest.score_threshold.chosen_by}",
            f"  map threshold {manifest.map_threshold.value:.4g}: "
            f"{manifest.map_threshold.chosen_by}",
            f"  torch and ONNX Runtime differ by {same.anomaly_map:.1g} (map), {same.score:.1g} "
            f"(score) on {same.images} images",
            *([HOLDS_SCANS] if remembers(manifest) else []),
        )
    )
