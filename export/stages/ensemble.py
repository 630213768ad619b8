"""Stage `ensemble`: the checkpoints of several methods → one ONNX file, as any other model.

`python -m export.stages.ensemble params.yaml NAME`, NAME being in the block `ensembles`.
"""

import sys

from export import registry
from export.calibration import ExportConfig
from export.draft import draft_manifest
from export.ensemble import INTENSITY_RANGE, ensemble_of, score_in_words
from export.fitted import Fitted, load_fitted
from export.membership import members_of
from export.release import in_words, parity_images, release
from export.same_data import refuse_other_data
from infer.manifest import Provenance
from train import tracking
from train.command import run_stage
from train.data import DataConfig, data_hash, load_cases, load_images
from train.params import Params
from train.paths import checkpoint_path, model_path
from train.provenance import git_state, git_tags, library_versions
from train.same_numbers import refuse_other_numbers


def combine(params: Params, name: str) -> None:
    """Export one ensemble; its MLflow run names those of its members.

    Raises:
        BadParamsError: there is no such ensemble, it names a method that is not fitted, or images
            would be made otherwise than those that are prepared.
        BadModelError: a member was fitted to other data than is prepared now.
        ParityError: the file does not say what the models say together.
        CalibrationError: validation does not allow the thresholds asked for.
    """
    study = params.study
    data = params.block(DataConfig, "data")
    config = params.block(ExportConfig, "export")
    refuse_other_numbers(params)
    members = {
        method: load_fitted(checkpoint_path(study, method), method, data)
        for method in members_of(params, name)
    }
    for method, fitted in members.items():
        path, fitted_to = checkpoint_path(study, method), fitted.metadata["data_hash"]
        refuse_other_data(path, fitted_to, study, hint=f"fit {method} again")
    images, abnormal = load_images(study, "validation")
    graph = ensemble_of(members, images[~abnormal])
    runs = {method: fitted.metadata["run_id"] for method, fitted in members.items()}
    run_id = _log_run(study, name, runs)
    compared = parity_images(study, INTENSITY_RANGE)
    draft = draft_manifest(
        data,
        config,
        study=study,
        method=name,
        intensity_range=INTENSITY_RANGE,
        score_recipe=score_in_words(members),
        provenance=provenance_of(members, study, run_id),
    )
    path = model_path(study, name)
    validation = [it.case for it in load_cases(study) if it.split == "validation"]
    manifest = release(path, graph, draft, config, images=compared, validation=validation)
    version = registry.register(path, study=study, method=name, run_id=run_id, example=compared[:2])
    print(in_words(path, manifest, version))


def provenance_of(members: dict[str, Fitted], study: str, run_id: str) -> Provenance:
    """Which fits, code, data and libraries a file comes from."""
    git = git_state()
    return Provenance(
        mlflow_run_id=run_id,
        git_commit=git.commit,
        git_dirty=git.dirty,
        data_hash=data_hash(study),
        seed=int(next(iter(members.values())).metadata["seed"]),  # the first's; runs name theirs
        versions=library_versions(),
        members={method: fitted.metadata["run_id"] for method, fitted in members.items()},
    )


def _log_run(study: str, name: str, runs: dict[str, str]) -> str:
    """A run of the ensemble's own: no fit has made one."""
    run = tracking.start(
        study,
        name,
        params={"members": ", ".join(runs)},
        tags={
            "study": study,
            "method": name,
            "stage": "ensemble",
            "data_hash": data_hash(study),
            **git_tags(),
            **{f"member.{method}": run_id for method, run_id in runs.items()},
        },
    )
    run.finish()
    return run.id


if __name__ == "__main__":
    sys.exit(run_stage(combine, sys.argv[1:]))
