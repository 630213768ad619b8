"""What a cross validation leaves to be read: tables, curves, and pages with a fold's scans."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from export import (
    crossval_beside,
    crossval_figures,
    crossval_table,
    crossval_text,
    evaluation,
    figures,
    resolution,
)
from export.crossval_table import Summary
from export.evaluation import Evaluation
from export.fold_job import FoldJob
from export.fold_result import FoldResult, HalfResult
from export.fold_testing import SHOWN
from export.page import to_html
from export.side_by_side import pictures
from train.metrics import Bootstrap
from train.params import Params
from train.paths import report_folder
from train.pool import Pool
from train.protocol import CrossvalConfig, SplitConfig, fold_of, ungrouped
from train.recipes import find

SIDE_BY_SIDE = 5  # normal and abnormal scans each
GALLERY = 6
DPI = 80  # these are kept in the repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was written, and what of it a tracker is told."""

    tables: list[Path]
    curves: list[Path]
    pages: list[Path]  # with pixels of scans: not for the repository
    text: str
    numbers: dict[str, dict[str, float]]  # method → protocol.grouping.metric → mean

    @property
    def files(self) -> list[Path]:
        return [*self.tables, *self.curves, *self.pages]


def write(
    params: Params,
    config: CrossvalConfig,
    results: Sequence[FoldResult],
    pool: Pool,
    folder: Path,
    *,
    missing: Sequence[FoldJob],
) -> Report:
    """Tables beside `folder`, curves and pages in it; what is `missing` is said."""
    study = params.study
    bootstrap = params.block(Bootstrap, "evaluate")
    values = crossval_table.values_of(results)
    summaries = crossval_table.summaries_of(results, values, bootstrap)
    beside = crossval_beside.load_beside(config.beside)
    compared = crossval_table.tests_of(
        values, metric="auroc", test_to_train=tested_per_trained(params, pool)
    )
    values += crossval_beside.values_of(beside)
    summaries += crossval_beside.summaries_of(beside)
    text = crossval_text.to_markdown(
        results,
        summaries,
        compared,
        study=study,
        config=bootstrap,
        folds=params.block(SplitConfig, "split").normal_folds,
        missing=missing,
        beside=beside,
        published=config.published,
        leaks=[*resolution.in_words(resolution.size_areas(pool.cases)), *without_groups(pool)],
        variants={
            name: of
            for name in dict.fromkeys(it.method for it in results)
            if name in params.names("fit") and (of := params.of("fit", name)) and find(name).shared
        },
    )
    tables = {
        "crossval.csv": crossval_table.to_csv(Summary._fields, summaries),
        "folds.csv": crossval_table.to_csv(crossval_table.Value._fields, values),
        "tests.csv": crossval_table.to_csv(crossval_table.Compared._fields, compared),
        "crossval.md": text,
        "groups.csv": groups_csv(pool),
    }
    for name, content in tables.items():
        path = report_folder(study, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    curves = [(folder / f"{name}.png", figure) for name, figure in _curves(results, config)]
    return Report(
        tables=[report_folder(study, name) for name in tables],
        curves=[save_png(figure, path) for path, figure in curves],
        pages=list(_pages(folder, config, results)),
        text=text,
        numbers=_numbers(summaries),
    )


def without_groups(pool: Pool) -> list[str]:
    """Said where a division cannot keep together what belongs together."""
    if len({it.group for it in pool.cases}) < len(pool.cases):
        return []
    return [
        "**Every scan is a group of its own: the data names no patients, and none were found.** "
        "Two scans of one patient may lie on two sides of a division, and intervals are those of "
        "single scans."
    ]


def groups_csv(pool: Pool) -> str:
    """Which scans are near-duplicates of each other."""
    lines = [
        (it.scan.as_posix(), "normal" if it.normal else "abnormal", it.group) for it in pool.cases
    ]
    return crossval_table.to_csv(("scan", "label", "group"), lines)


def tested_per_trained(params: Params, pool: Pool) -> float:
    """How many images are tested for each that is trained on."""
    fold = fold_of(ungrouped(pool.cases), params.block(SplitConfig, "split"), 0)
    return len(fold.halves[0].test) / len(fold.train)


def save_png(figure: Figure, path: Path) -> Path:
    """Write a figure; equal ones are equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI, metadata=figures.PNG_METADATA)
    return path


def _curves(results: Sequence[FoldResult], config: CrossvalConfig) -> Iterator[tuple[str, Figure]]:
    """Every picture without a scan's pixels, by its name."""
    trivial = {it.method for it in results if it.trivial}
    for grouped in config.grouped:
        for protocol in config.protocols:
            tests = crossval_figures.tests_by_method(results, protocol, grouped=grouped)
            if not tests:
                continue
            of = f"{protocol}_{'grouped' if grouped else 'published'}"
            yield f"scores_{of}", crossval_figures.score_histograms(tests)
            yield f"roc_{of}", crossval_figures.roc_curves(tests, trivial)
            yield f"f1_{of}", crossval_figures.f1_over_threshold(tests)
    fitted = {it.method: it.grouped for it in reversed(results) if it.history}
    for name, grouped in fitted.items():
        yield f"training_{name}", crossval_figures.training_curves(results, name, grouped=grouped)


def _pages(folder: Path, config: CrossvalConfig, results: Sequence[FoldResult]) -> Iterator[Path]:
    """Pictures of one fold's test scans, in the order of the table: not for the repository."""
    fold, half = SHOWN
    shutil.rmtree(folder / "pages", ignore_errors=True)  # of earlier fits, or of other rows
    shown = [it for it in results if it.fold == fold and it.grouped == config.shows_grouped]
    for protocol in config.protocols:
        found = {}
        for result in shown:
            kept = folder / "panels" / protocol / result.method
            tests = [it for it in result.tests if (it.protocol, it.half) == (protocol, half)]
            if not (tests and (kept / "metrics.json").exists()):
                continue
            panels = evaluation.load(kept, kept / "metrics.json")
            if _are_of(panels, tests[0]):
                found[result.method] = panels
            else:
                print(f"no page of {result.method}, {protocol}: {kept} is of another fit")
        for name, one in found.items():
            page = folder / "pages" / f"{name}_{protocol}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(to_html(one), encoding="utf-8")
            yield page
            picture = page.with_suffix(".png")
            yield save_png(figures.outcomes(one, GALLERY), picture)
        for at, figure in enumerate(pictures(found.values(), SIDE_BY_SIDE), start=1):
            further = f"_{at}" if at > 1 else ""
            yield save_png(figure, folder / "pages" / f"side_by_side_{protocol}{further}.png")


def _are_of(panels: Evaluation, test: HalfResult) -> bool:
    """Whether they show a test's scans as it scored them: fits of before leave theirs there."""
    own = {it.scan: it for it in test.scans}
    rows = {it.scan: it for it in panels.rows}
    return (
        own.keys() == rows.keys()
        and all(own[name].anomalous == rows[name].anomalous for name in own)
        and np.allclose(
            [it.score for it in own.values()], [rows[name].score for name in own], rtol=1e-4
        )
    )


def _numbers(summaries: Sequence[Summary]) -> dict[str, dict[str, float]]:
    return {
        name: {
            f"{it.protocol}.{'grouped' if it.grouped else 'published'}.{it.metric}": it.mean
            for it in summaries
            if it.method == name and it.recipe == crossval_table.SHIPPED
        }
        for name in dict.fromkeys(it.method for it in summaries)
    }
