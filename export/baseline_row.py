"""A trivial baseline as a row of the comparison: calibrated and measured as a model is."""

from dataclasses import replace

from export import where_files
from export.baselines import Baseline
from export.calibration import ExportConfig, calibrate
from export.draft import calibrated, draft_manifest
from export.measured import (
    NOT_RECALIBRATED,
    Measured,
    Recalibrated,
    is_measurable,
    measure,
    thresholds_at_rates,
)
from export.normal_voxels import NormalVoxels
from export.scan_scores import score_scans
from export.table import Compared
from export.where_config import WhereConfig
from infer.manifest import Provenance
from train.data import DataConfig, data_hash, load_cases
from train.metrics import Bootstrap
from train.params import Params


def baseline_row(params: Params, baseline: Baseline, measured: Measured) -> Compared:
    """The line of the comparison."""
    of_models = params.block(ExportConfig, "export").aggregation
    return Compared(
        evaluation=measured.evaluation,
        fit_seconds=None,
        in_words=baseline.in_words(of_models),
        where=where_files.flat(measured.where),
        kinds=measured.where.kinds,
        sizes=measured.where.sizes,
    )


def measure_baseline(params: Params, baseline: Baseline, bootstrap: Bootstrap) -> Measured:
    """Calibrate a baseline on validation and measure it on test, as a model is."""
    asked = params.block(ExportConfig, "export")
    config = replace(asked, aggregation=baseline.aggregation(asked.aggregation))
    cases = load_cases(params.study)
    manifest = draft_manifest(
        params.block(DataConfig, "data"),
        config,
        study=params.study,
        method=baseline.name,
        intensity_range=(0.0, 1.0),
        score_recipe=baseline.score_in_words,
        provenance=_provenance(params.study),
    )
    validation = [it.case for it in cases if it.split == "validation"]
    voxels = NormalVoxels(config.normals)
    found = calibrate(voxels.of(score_scans(validation, manifest, baseline)), config)
    test = [it.case for it in cases if it.split == "test"]
    further = NOT_RECALIBRATED
    if is_measurable(test):
        further = Recalibrated(map_thresholds=thresholds_at_rates(voxels), steps={})
    return measure(
        test,
        calibrated(manifest, found),
        baseline,
        further,
        bootstrap,
        params.block(WhereConfig, "where"),
        montages=None,
    )


def _provenance(study: str) -> Provenance:
    """A baseline has no run: it is made here."""
    return Provenance(
        mlflow_run_id="",
        git_commit="",
        git_dirty=False,
        data_hash=data_hash(study),
        seed=0,
        versions={},
    )
