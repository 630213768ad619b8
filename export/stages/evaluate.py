"""Stage `evaluate`: the exported file on the test scans, through `infer`: what ships is measured.

`python -m export.stages.evaluate params.yaml cae`.
"""

import sys

from export import evaluation, registry
from export.scan_scores import THREADS, score_scans
from infer.engine import open_engine
from train.command import run_stage
from train.data import load_cases
from train.metrics import Bootstrap
from train.params import Params
from train.paths import model_path, report_folder


def evaluate(params: Params, method: str) -> None:
    """Score, measure, report; the metrics go to the run of the fit as well."""
    study = params.study
    config = params.block(Bootstrap, "evaluate")
    engine = open_engine(model_path(study, method), device="cpu", threads=THREADS)
    manifest = engine.manifest
    test = [it.case for it in load_cases(study) if it.split == "test"]
    found = evaluation.evaluate(score_scans(test, manifest, engine), manifest, config)
    reports = report_folder(study, "evaluate")
    folder, metrics_path = reports / method, reports / f"{method}.json"
    evaluation.save(folder, metrics_path, found)
    registry.log_test(
        evaluation.flat(found),
        study=study,
        method=method,
        run_id=manifest.provenance.mlflow_run_id,
        files=[metrics_path, folder / "scores.csv"],
    )
    print(f"{method}: {len(found.rows)} test scans, {metrics_path}")
    for name, it in found.metrics.items():
        print(f"  {name:18}{it.value:7.3f}   {it.low:.3f} to {it.high:.3f}")


if __name__ == "__main__":
    sys.exit(run_stage(evaluate, sys.argv[1:]))
