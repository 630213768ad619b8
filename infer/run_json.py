"""run.json: what was run, with what, on what, and how it went; for machines and for the file."""

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import infer
from infer.engine import OnnxEngine
from infer.manifest import Manifest, Threshold
from infer.model_source import ModelFile
from infer.self_test import Change
from infer.writers.atomic import write_bytes

# As they are imported.
LIBRARIES = ("numpy", "cv2", "onnxruntime", "openvino", "nibabel", "pydicom", "scipy")


def write_run(
    path: Path,
    *,
    key: str,
    model: ModelFile,
    engine: OnnxEngine,
    change: Change | None,
    manifest: Manifest,
    options: Mapping[str, Any],
    counts: Mapping[str, int],
    left_out: Mapping[str, int],
    timing: Mapping[str, float | str],
    outcome: str,
    machines: Sequence[Mapping[str, Any]],
    monitoring: Mapping[str, Any],
) -> dict[str, Any]:
    """Write the record of a run; what was written."""
    record = {
        "outcome": outcome,
        "key": key,  # that the journal has beside each result of this model and these options
        "model": {
            "file": model.path.name,
            "registered": dict(model.registered) if model.registered else None,
            "address": model.address,
            "sha256": engine.sha256,
            "unsigned_sha256": engine.unsigned_sha256,  # null where it is not signed
            **manifest_summary(manifest),
        },
        "device": {
            "asked": engine.device.asked,
            "got": engine.device.got,
            "provider": engine.provider,
            "reason": engine.device.reason,
            "precision": engine.device.precision,
            # What it makes of the built-in phantom, beside fp32; null where it is fp32.
            "precision_change": change.as_record() if change else None,
        },
        "versions": versions(),
        "options": dict(options),
        "counts": dict(counts),
        "left_out": dict(left_out),  # files that are no scans known here, by ending
        "timing": dict(timing),
        # Of a cluster, each with what it did in this run; none where this one did all.
        "machines": [dict(machine) for machine in machines],
        # Of these scans, those of earlier runs that were gone on with included.
        "monitoring": dict(monitoring),
        # What `normal_percentile` counts, so that it can be had again without the model.
        "normal_scores": [float(f"{score:.6g}") for score in manifest.normals.scores],
    }
    text = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(errors="surrogateescape"))
    return record


def manifest_summary(manifest: Manifest) -> dict[str, Any]:
    """What of a model matters to the reader of its results."""
    return {
        "schema": manifest.schema,
        "study": manifest.study,
        "method": manifest.method,
        "modality": manifest.modality,
        "image_size": list(manifest.image_size),
        "patches": None if manifest.patches is None else asdict(manifest.patches),
        "plane": manifest.plane,
        "anomalous_by": manifest.anomalous_by,
        "score_recipe": manifest.score_recipe,
        "score_threshold": _threshold(manifest.score_threshold),
        "map_threshold": _threshold(manifest.map_threshold),
        "normals": len(manifest.normals.scores),
        "recalibrated": [asdict(it) for it in manifest.recalibrated],
        "variant": None if manifest.variant is None else asdict(manifest.variant),
        "mlflow_run_id": manifest.provenance.mlflow_run_id,
        "members": manifest.provenance.members,
        "git_commit": manifest.provenance.git_commit,
        "git_dirty": manifest.provenance.git_dirty,
        "data_hash": manifest.provenance.data_hash,
    }


def versions() -> dict[str, str]:
    """Versions of what produced the results: of the libraries that were needed for it."""
    found = {"uad": infer.__version__, "python": platform.python_version()}
    needed = {name: sys.modules[name] for name in LIBRARIES if name in sys.modules}
    return found | {name: str(it.__version__) for name, it in needed.items()}


def _threshold(threshold: Threshold) -> dict[str, Any]:
    return {"value": threshold.value, "chosen_by": threshold.chosen_by}
