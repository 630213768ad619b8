"""Stage `export`: a checkpoint → one self-contained ONNX file, checked, calibrated, registered.

`python -m export.stages.export params.yaml cae`.
"""

import sys

from export import registry
from export.calibration import ExportConfig
from export.draft import draft_manifest
from export.fitted import Fitted, load_fitted
from export.release import in_words, parity_images, release
from export.same_data import refuse_other_data
from infer.manifest import Provenance
from train.command import run_stage
from train.data import DataConfig, load_cases
from train.params import Params
from train.paths import checkpoint_path, model_path
from train.provenance import git_state, library_versions
from train.same_numbers import refuse_other_numbers


def export(params: Params, method: str) -> None:
    """Export one method's checkpoint.

    Raises:
        BadParamsError: images would be made otherwise than those that are prepared.
        BadModelError: the checkpoint was fitted to other data than is prepared now.
        ParityError: the file does not say what the model says.
        CalibrationError: validation does not allow the thresholds asked for.
    """
    study = params.study
    data = params.block(DataConfig, "data")
    config = params.block(ExportConfig, "export")
    checkpoint = checkpoint_path(study, method)
    refuse_other_numbers(params)
    fitted = load_fitted(checkpoint, method, data)
    refuse_other_data(checkpoint, fitted.metadata["data_hash"], study, hint=f"fit {method} again")
    images = parity_images(study, fitted.intensity_range, fitted.scale, fitted.patches)
    draft = draft_manifest(
        data,
        config,
        study=study,
        method=method,
        intensity_range=fitted.intensity_range,
        channel_mean=fitted.scale.mean,
        channel_std=fitted.scale.std,
        score_recipe=fitted.score_recipe,
        provenance=provenance_of(fitted),
        patches=fitted.patches,
    )
    path = model_path(study, method)
    validation = [it.case for it in load_cases(study) if it.split == "validation"]
    manifest = release(path, fitted.graph, draft, config, images=images, validation=validation)
    version = registry.register(
        path,
        study=study,
        method=method,
        run_id=fitted.metadata["run_id"],
        example=images[:2],
    )
    print(in_words(path, manifest, version))


def provenance_of(fitted: Fitted) -> Provenance:
    """Which fit, code, data and libraries a file comes from."""
    git = git_state()
    return Provenance(
        mlflow_run_id=fitted.metadata["run_id"],
        git_commit=git.commit,
        git_dirty=git.dirty,
        data_hash=fitted.metadata["data_hash"],
        seed=int(fitted.metadata["seed"]),
        versions=library_versions(),
    )


if __name__ == "__main__":
    sys.exit(run_stage(export, sys.argv[1:]))
