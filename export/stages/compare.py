"""Stage `compare`: all models and the trivial baselines in one table, with figures and pages.

`python -m export.stages.compare params.yaml`.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from export import evaluation, figures, registry, resolution, where_files
from export.baselines import Baseline, baselines
from export.calibration import ExportConfig, calibrate
from export.draft import calibrated, draft_manifest
from export.figures import CompareConfig
from export.measured import (
    NOT_RECALIBRATED,
    Recalibrated,
    is_measurable,
    measure,
    thresholds_at_rates,
)
from export.membership import ensembles
from export.normal_voxels import NormalVoxels
from export.page import to_html
from export.scan_scores import score_scans
from export.table import Compared, numbers, to_csv, to_markdown
from export.where_config import WhereConfig
from export.where_text import steps_section, where_section
from infer.manifest import Provenance
from train.command import run_stage
from train.data import DataConfig, data_hash, load_cases, open_images
from train.metrics import Bootstrap
from train.params import Params
from train.paths import report_folder

DPI = 110


def compare(params: Params) -> None:
    """Write the table and its readable copy, figures and pages; log them as one run."""
    study = params.study
    config = params.block(CompareConfig, "compare")
    bootstrap = params.block(Bootstrap, "evaluate")
    models = [load_model(study, method, fits=(method,)) for method in params.models]
    for name, ensemble in ensembles(params).items():
        models.append(load_model(study, name, fits=ensemble.members))
    training, _ = open_images(study, "train")
    rows = [*models, *(measure_baseline(params, it, bootstrap) for it in baselines(training))]
    csv_path = report_folder(study, "compare.csv")
    csv_path.write_text(to_csv(rows), encoding="utf-8")
    readable = csv_path.with_suffix(".md")
    test = [it.case for it in load_cases(study) if it.split == "test"]
    text = to_markdown(
        rows,
        study=study,
        confidence=bootstrap.confidence,
        resamples=bootstrap.resamples,
        variants=params.variants,
        leaks=resolution.in_words(resolution.size_areas(test)),
    )
    text += where_section(
        {it.name: it.where for it in rows}, trivial=[it.name for it in rows if it.trivial]
    )
    steps = {
        it.name: where_files.load_steps(report_folder(study, "evaluate") / it.name) for it in models
    }
    text += steps_section(steps)
    readable.write_text(text, encoding="utf-8")
    folder = report_folder(study, "compare")
    written = draw(folder, rows, models, config)
    registry.log_comparison(numbers(rows), study=study, files=[csv_path, readable, *written])
    print(text)
    print("\n".join(f"{it}" for it in (csv_path, readable, *written)))


def load_model(study: str, name: str, *, fits: tuple[str, ...]) -> Compared:
    """What the stage `evaluate` reported of a model, and `fit` of the methods in it."""
    reports, fit_reports = report_folder(study, "evaluate"), report_folder(study, "fit")
    fitted = [json.loads((fit_reports / f"{it}.json").read_text(encoding="utf-8")) for it in fits]
    return Compared(
        evaluation=evaluation.load(reports / name, reports / f"{name}.json"),
        where=where_files.load_flat(reports / f"{name}_where.json"),
        fit_seconds=sum(it["fit_seconds"] for it in fitted),
        in_words="",
    )


def measure_baseline(params: Params, baseline: Baseline, bootstrap: Bootstrap) -> Compared:
    """Calibrate a baseline on validation and measure it on test, as a model is."""
    config = params.block(ExportConfig, "export")
    cases = load_cases(params.study)
    manifest = draft_manifest(
        params.block(DataConfig, "data"),
        config,
        study=params.study,
        method=baseline.name,
        intensity_range=(0.0, 1.0),
        score_recipe=baseline.in_words,
        provenance=_provenance(params.study),
    )
    validation = [it.case for it in cases if it.split == "validation"]
    voxels = NormalVoxels(config.normals)
    found = calibrate(voxels.of(score_scans(validation, manifest, baseline)), config)
    test = [it.case for it in cases if it.split == "test"]
    further = NOT_RECALIBRATED
    if is_measurable(test):
        further = Recalibrated(map_thresholds=thresholds_at_rates(voxels), steps={})
    measured = measure(
        test,
        calibrated(manifest, found),
        baseline,
        further,
        bootstrap,
        params.block(WhereConfig, "where"),
        montages=None,
    )
    return Compared(
        evaluation=measured.evaluation,
        fit_seconds=None,
        in_words=baseline.in_words,
        where=where_files.flat(measured.where),
    )


def draw(
    folder: Path, rows: list[Compared], models: list[Compared], config: CompareConfig
) -> list[Path]:
    """Every figure and page, and where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"scores": figures.score_histograms(rows), "roc": figures.roc_curves(rows)}
    for model in models:
        pictures[f"gallery_{model.name}"] = figures.gallery(model.evaluation, config.gallery)
    written = [_save(figure, folder / f"{name}.png") for name, figure in pictures.items()]
    for model in models:
        page = folder / f"{model.name}.html"
        page.write_text(to_html(model.evaluation), encoding="utf-8")
        written.append(page)
    return written


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=DPI, metadata=figures.PNG_METADATA)
    return path


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


if __name__ == "__main__":
    sys.exit(run_stage(compare, sys.argv[1:]))
