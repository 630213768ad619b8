"""Stage `evaluate`: the exported file on the test scans, through `infer`: what ships is measured.

`python -m export.stages.evaluate params.yaml cae`.
"""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from export import evaluation, registry, where_files
from export.ablation import manifests_of
from export.calibration import ExportConfig
from export.measured import NOT_RECALIBRATED, is_measurable, measure, recalibrate
from export.same_data import refuse_other_data
from export.scan_scores import THREADS
from export.where_config import WhereConfig
from infer.engine import open_engine
from infer.errors import BadModelError
from train.command import run_stage
from train.data import load_cases
from train.metrics import Bootstrap
from train.params import Params
from train.paths import model_path, report_folder

MONTAGES = "montages"  # folder, within a method's


def evaluate(params: Params, method: str) -> None:
    """Score, measure, report; the metrics go to the run of the fit as well.

    Raises:
        BadModelError: there is no such file, or it was made of other data than is prepared now.
    """
    study = params.study
    config = params.block(WhereConfig, "where")
    path = model_path(study, method)
    if not path.exists():
        raise BadModelError(
            f"{path} does not exist: {method} has not been exported",
            hint="run the stage `export` first, or `quantise` for a reduced variant",
        )
    engine = open_engine(path, device="cpu", threads=THREADS)
    manifest = engine.manifest
    refuse_other_data(
        path, manifest.provenance.data_hash, study, hint=f"fit and export {method} again"
    )
    cases = load_cases(study)
    test = [it.case for it in cases if it.split == "test"]
    further = NOT_RECALIBRATED
    if is_measurable(test):
        further = recalibrate(
            [it.case for it in cases if it.split == "validation"],
            manifest,
            manifests_of(manifest) if config.ablate_postprocessing else {},
            engine,
            params.block(ExportConfig, "export").normals,
        )
    reports = report_folder(study, "evaluate")
    folder, metrics_path = reports / method, reports / f"{method}.json"
    bootstrap = params.block(Bootstrap, "evaluate")
    # What an earlier test left would be taken for this one's: see `where_files.save`.
    (reports / f"{method}_where.csv").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    found = measure(test, manifest, engine, further, bootstrap, config, montages=folder / MONTAGES)
    of_file = replace(found.evaluation, model_sha256=engine.sha256)
    evaluation.save(folder, metrics_path, of_file)
    written = where_files.save(folder, reports / f"{method}_where.json", found.where, found.steps)
    where = {f"where_{name}": it for name, it in where_files.flat(found.where).items()}
    registry.log_test(
        evaluation.flat(found.evaluation) | where,
        study=study,
        method=method,
        run_id=manifest.provenance.mlflow_run_id,
        files=[metrics_path, folder / "scores.csv", *written, *(folder / MONTAGES).glob("*.png")],
        sha256=engine.sha256,
        precision=manifest.variant.precision if manifest.variant else "",
    )
    _print(method, found.evaluation, found.where.metrics, metrics_path)


def _print(
    method: str, found: evaluation.Evaluation, where: Mapping[str, float], path: Path
) -> None:
    print(f"{method}: {len(found.rows)} test scans, {path}")
    for name, it in found.metrics.items():
        print(f"  {name:18}{it.value:7.3f}   {it.low:.3f} to {it.high:.3f}")
    for name, value in where.items():
        print(f"  where: {name:32}{value:8.3f}")


if __name__ == "__main__":
    sys.exit(run_stage(evaluate, sys.argv[1:]))
