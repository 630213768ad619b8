"""Stage `compare`: all models and the trivial baselines in one table, with figures and pages.

`python -m export.stages.compare params.yaml [--keep]`: with `--keep` the tables and curves, without
any scan's pixels, are copied to docs/results/<study>.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from export import evaluation, figures, registry, resolution, where_files
from export.baseline_row import baseline_row, measure_baseline
from export.baselines import Baseline, baselines
from export.figures import CompareConfig
from export.kept_tables import keep_tables
from export.membership import ensembles
from export.page import to_html
from export.same_rules import refuse_other_rules
from export.table import Compared, numbers, to_csv, to_markdown
from export.where_text import OF_KINDS, OF_SIZES, parts_section, steps_section, where_section
from infer.digest import digest_of
from infer.errors import BadModelError
from train.command import run_stage
from train.data import data_hash, load_cases, open_images
from train.datasets.case import Case
from train.metrics import Bootstrap
from train.params import Params
from train.paths import model_path, report_folder

DPI = 110
TITLE = "Results of the comparison"
CURVES = ("scores", "roc")  # figures that show no scan


def compare(params: Params, *, keep: bool = False) -> None:
    """Write the table and its readable copy, figures and pages; log them as one run.

    Raises:
        BadModelError: a model was not evaluated, or on other test scans than are prepared now, or
            as another file or by other rules than there are now.
    """
    study = params.study
    test = [it.case for it in load_cases(study) if it.split == "test"]
    config = params.block(CompareConfig, "compare")
    bootstrap = params.block(Bootstrap, "evaluate")
    models = [load_model(study, method, fits=(method,)) for method in params.models]
    for name, ensemble in ensembles(params).items():
        models.append(load_model(study, name, fits=ensemble.members))
    for model in models:
        refuse_other_test(model.evaluation, test)
        refuse_other_file(params, model.evaluation)
    trivial = trivial_rows(study)
    rows = [
        *models,
        *(baseline_row(params, it, measure_baseline(params, it, bootstrap)) for it in trivial),
    ]
    csv_path = report_folder(study, "compare.csv")
    csv_path.write_text(to_csv(rows), encoding="utf-8")
    readable = csv_path.with_suffix(".md")
    overview = to_markdown(
        rows,
        study=study,
        confidence=bootstrap.confidence,
        resamples=bootstrap.resamples,
        variants={it: of for it, of in params.variants.items() if _took_over(study, it)},
        leaks=resolution.in_words(resolution.size_areas(test)),
    )
    where = {it.name: it.where for it in rows}
    steps = {
        it.name: where_files.load_steps(report_folder(study, "evaluate") / it.name) for it in models
    }
    sections = (
        overview,
        where_section(where, trivial=[it.name for it in rows if it.trivial]),
        parts_section("kind", {it.name: it.kinds for it in rows}, OF_KINDS),
        parts_section("size", {it.name: it.sizes for it in rows}, OF_SIZES),
        steps_section(steps),
    )
    text = "\n".join(filter(None, sections))
    readable.write_text(text, encoding="utf-8")
    folder = report_folder(study, "compare")
    written = draw(folder, rows, models, config)
    files = [csv_path, readable, *written]
    registry.log_comparison(numbers(rows), study=study, files=files, data=data_hash(study))
    print(text)
    print("\n".join(f"{it}" for it in (csv_path, readable, *written)))
    if keep:
        curves = [folder / f"{name}.png" for name in CURVES]
        command = f"python -m export.stages.compare {params.path} --keep"
        place = Path("docs/results") / study
        kept = keep_tables(place, [csv_path, readable, *curves], title=TITLE, command=command)
        print(kept)


def trivial_rows(study: str) -> list[Baseline]:
    """The baselines, which know normal training images only, also where abnormal ones train."""
    training, abnormal = open_images(study, "train")
    return baselines(training.of(~abnormal))


def load_model(study: str, name: str, *, fits: tuple[str, ...]) -> Compared:
    """What the stage `evaluate` reported of a model, and `fit` of the methods in it.

    Raises:
        BadModelError: one of them reported nothing.
    """
    reports, fit_reports = report_folder(study, "evaluate"), report_folder(study, "fit")
    stages = {
        **{fit_reports / f"{it}.json": f"train.stages.fit PARAMS {it}" for it in fits},
        reports / f"{name}_where.csv": f"export.stages.evaluate PARAMS {name}",
    }
    for path, stage in stages.items():
        if not path.exists():
            raise BadModelError(f"there is no {path}", hint=f"run python -m {stage}")
    parts = where_files.load_parts(reports / f"{name}_where.csv")
    fitted = [json.loads((fit_reports / f"{it}.json").read_text(encoding="utf-8")) for it in fits]
    return Compared(
        evaluation=evaluation.load(reports / name, reports / f"{name}.json"),
        where=where_files.load_flat(reports / f"{name}_where.json"),
        kinds=parts["kind"],
        sizes=parts["size"],
        fit_seconds=sum(it["fit_seconds"] for it in fitted),
        in_words="",
    )


def _took_over(study: str, variant: str) -> bool:
    """Whether a variant began with networks of its method's fit."""
    report = json.loads((report_folder(study, "fit") / f"{variant}.json").read_text("utf-8"))
    return bool(report.get("shared_networks", True))  # fanogan's did, before it was noted


def refuse_other_test(found: evaluation.Evaluation, test: Sequence[Case]) -> None:
    """Numbers of other scans than the baselines' cannot stand in one table.

    Raises:
        BadModelError: the model was evaluated on other scans, or on these with other labels.
    """
    seen = [(row.scan, row.group, row.label == "normal") for row in found.rows]
    if seen != [(it.scan.as_posix(), it.group, it.normal) for it in test]:
        raise BadModelError(
            f"{found.name} was evaluated on {len(seen)} other test scans than the "
            f"{len(test)} that are prepared now",
            hint=f"fit, export and evaluate {found.name} again",
        )


def refuse_other_file(params: Params, found: evaluation.Evaluation) -> None:
    """See that it is of the model file that is there now, if one is, and that of params as well.

    Raises:
        BadModelError: it is of an earlier one, or that was exported by other rules.
    """
    path = model_path(params.study, found.name)
    if not path.exists():
        return
    if found.model_sha256 not in ("", digest_of(path)):
        raise BadModelError(
            f"{found.name} was evaluated before {path} was made",
            hint=f"run python -m export.stages.evaluate PARAMS {found.name}",
        )
    refuse_other_rules(path, params)


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


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m export.stages.compare")
    parser.add_argument("params")
    parser.add_argument("--keep", action="store_true", help="copy to docs/results/<study>")
    given = parser.parse_args(arguments)
    return run_stage(lambda params: compare(params, keep=given.keep), [given.params])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
