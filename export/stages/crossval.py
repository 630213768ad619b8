"""The 2×5 cross validation of every method, in one command, with tables, curves and pages.

`python -m export.stages.crossval studies/head_ct/params.yaml [--jobs N] [--methods cae,dae]
[--ablations no_affine] [--from FOLDER] [--only-table] [--keep] [--delete-models]`

Each finished fold is one JSON under reports/<study>/crossval/folds; what is there and fits the
numbers and the data is not run again. An interrupted fit goes on where it was.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure

from export import (
    crossval_figures,
    crossval_table,
    evaluation,
    figures,
    fold_files,
    fold_result,
    registry,
)
from export.baselines import baselines
from export.fold_result import FoldResult
from export.fold_run import FoldJob, checkpoint_of, fingerprint_of, keeper_names, run_fold
from export.job_pool import jobs_at_once, run_jobs
from export.kept_results import keep
from export.page import to_html
from export.side_by_side import side_by_side
from infer.errors import UadError
from train import tracking
from train.command import run_stage
from train.metrics import Bootstrap
from train.params import BadParamsError, Params, suggest
from train.paths import report_folder
from train.pool import Pool, make_pool
from train.protocol import CrossvalConfig, SplitConfig, fold_of, ungrouped
from train.recipes import find

SIDE_BY_SIDE = 5  # normal and abnormal scans each
GALLERY = 6
DPI = 80  # these are kept in the repository
MOST_MODELS = 8  # side by side


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    jobs: int  # 0: what the machine bears
    methods: tuple[str, ...]  # empty: all of the block
    ablations: tuple[str, ...]
    source: Path | None  # folds of another run to start from
    only_table: bool
    keep: bool
    delete_models: bool
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job, the numbers it runs with, and what tells a result of it from others."""

    job: FoldJob
    params: Params
    fingerprint: str
    wave: int  # 0 first: later ones need what earlier ones leave


class _Numbers(NamedTuple):
    """The study's numbers and images, or those of an ablation."""

    params: Params
    pool: Pool
    stored: str  # the pool's name
    suffix: str  # of a method's name


def crossval(params: Params, options: Options) -> None:
    """Run what is missing, write tables and pictures, tell MLflow.

    Raises:
        UadError: a fold failed; the others are done, and kept.
    """
    config = params.block(CrossvalConfig, "crossval")
    _refuse_unknown(options, config, params)
    folder = report_folder(params.study, "crossval")
    models = Path("models") / params.study / "crossval"
    pool = make_pool(params, f"{params.study}.crossval")
    write_groups(report_folder(params.study, "groups.csv"), pool)
    planned = list(plan(params, config, options, pool))
    parents: dict[str, str] = {}
    failed: list[str] = []
    if not options.only_table:
        missing = missing_of(planned, folder / "folds", models, options)
        failed = _run(params.study, missing, folder, models, parents, options)
    results = _results(planned, folder / "folds")
    if results:
        _report(params, config, options, results, pool, folder, parents)
    if options.delete_models:
        shutil.rmtree(models, ignore_errors=True)
    if failed:
        raise UadError(f"{len(failed)} folds failed: {'; '.join(failed)}", hint="see above")
    if not results:
        raise UadError("no fold is done", hint="run it without --only-table")


def plan(params: Params, config: CrossvalConfig, options: Options, pool: Pool) -> Iterator[Planned]:
    """Every fold of every row: methods, their ablations, ensembles, baselines."""
    split = params.block(SplitConfig, "split")
    chosen = options.methods or config.methods
    plain = _Numbers(params, pool, f"{params.study}.crossval", "")
    numbers = [plain]
    for name in options.ablations:
        own = plain._replace(params=with_blocks(params, config.ablations[name]), suffix=f"+{name}")
        if "data" in config.ablations[name]:
            stored = f"{plain.stored}.{name}"
            own = own._replace(pool=make_pool(own.params, stored), stored=stored)
        numbers.append(own)
    names = [it.name for it in baselines(pool.images[:1])]
    for grouped in config.grouped:
        for fold in range(split.normal_folds):
            for name in names:
                yield _planned(plain, name, wave=0, grouped=grouped, fold=fold)
            for own in numbers:
                for method in (it for it in config.methods if it in chosen):
                    wave = 1 if params.of("fit", method) else 0
                    yield _planned(
                        own,
                        method + own.suffix,
                        method=method,
                        wave=wave,
                        grouped=grouped,
                        fold=fold,
                    )
            for name, members in config.ensembles.items():
                if set(members) <= set(chosen):
                    yield _planned(plain, name, members=members, wave=2, grouped=grouped, fold=fold)


def _planned(
    numbers: _Numbers,
    name: str,
    *,
    grouped: bool,
    fold: int,
    wave: int,
    method: str = "",
    members: tuple[str, ...] = (),
) -> Planned:
    job = FoldJob(
        name=name,
        method=method,
        members=members,
        pool=numbers.stored,
        grouped=grouped,
        fold=fold,
        parent_run="",
    )
    fingerprint = fingerprint_of(numbers.params, job, numbers.pool.hash)
    return Planned(job=job, params=numbers.params, fingerprint=fingerprint, wave=wave)


def missing_of(
    planned: Sequence[Planned], folds: Path, models: Path, options: Options
) -> list[Planned]:
    """What has no usable result, and what others need the checkpoints of."""
    wanted = [it for it in planned if not _is_done(it, folds, options.source)]
    needed = {
        (name, it.job.grouped, it.job.fold)
        for it in wanted
        for name in _relied_on(it)
        if not _has_checkpoints(it, name, models)
    }
    return [
        it for it in planned if it in wanted or (it.job.name, it.job.grouped, it.job.fold) in needed
    ]


def _relied_on(planned: Planned) -> tuple[str, ...]:
    """The rows whose checkpoints a job reads."""
    job = planned.job
    if job.members:
        return job.members
    of = planned.params.of("fit", job.method) if job.method and find(job.method).shared else ""
    return (of,) if of else ()


def _has_checkpoints(planned: Planned, name: str, models: Path) -> bool:
    config = planned.params.block(CrossvalConfig, "crossval")
    place = models / planned.job.place
    return all(checkpoint_of(place, name, it).exists() for it in keeper_names(config))


def _is_done(planned: Planned, folds: Path, source: Path | None) -> bool:
    """Whether there is a result to use; one from `source` is copied."""
    path = result_path(folds, planned.job)
    found = fold_result.load(path, planned.fingerprint)
    if isinstance(found, FoldResult):
        return True
    if path.exists():
        print(f"not used: {found}")
    if source is None:
        return False
    job = planned.job
    other = fold_files.fetch(source, job.name, grouped=job.grouped, fold=job.fold)
    if other is None:
        return False
    where = f"{job.name} {job.place} in {source}"
    found = fold_result.decoded(other, planned.fingerprint, where=where)
    if not isinstance(found, FoldResult):
        print(f"not used: {found}")
        return False
    fold_result.save(path, found)
    return True


def result_path(folds: Path, job: FoldJob) -> Path:
    """The JSON of a fold."""
    return fold_files.path_of(folds, job.name, grouped=job.grouped, fold=job.fold)


def with_blocks(params: Params, blocks: Mapping[str, Mapping[str, object]]) -> Params:
    """The same numbers, but for those that are named, however deep."""
    return Params(params.path, _laid_over(params.values, blocks))


def _laid_over(values: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    return {**values} | {
        name: _laid_over(values[name], value)
        if isinstance(value, Mapping) and isinstance(values.get(name), Mapping)
        else value
        for name, value in named.items()
    }


def work(planned: Planned, *, folder: Path, models: Path) -> Path:
    """Run one job and write its result."""
    found = run_fold(planned.params, planned.job, models=models, reports=folder)
    path = result_path(folder / "folds", planned.job)
    fold_result.save(path, found)
    return path


def _run(
    study: str,
    missing: Sequence[Planned],
    folder: Path,
    models: Path,
    parents: dict[str, str],
    options: Options,
) -> list[str]:
    """Run the jobs, wave by wave; which failed, in words."""
    gpus = torch.cuda.device_count()
    at_once = options.jobs or jobs_at_once(gpus)
    for it in missing:
        if it.job.method and it.job.name not in parents:
            parents[it.job.name] = _open_parent(study, it.job.name)
    failed = []
    print(f"{len(missing)} folds to run, {at_once} at once")
    for wave in range(3):
        own = [
            replace(it, job=replace(it.job, parent_run=parents.get(it.job.name, "")))
            for it in missing
            if it.wave == wave
        ]
        task = partial(work, folder=folder, models=models)
        for done in run_jobs(task, own, at_once=max(1, min(at_once, len(own))), gpus=gpus):
            job = done.job.job
            said = f"{job.name} {job.place}"
            print(f"{said}: {done.error or done.result}", flush=True)
            if done.error:
                failed.append(f"{said}: {done.error}")
    return failed


def _open_parent(study: str, name: str) -> str:
    """The run that a method's folds are below."""
    tags = {"study": study, "method": name, "stage": "crossval"}
    return tracking.record(study, f"crossval {name}", tags=tags)


def _results(planned: Sequence[Planned], folds: Path) -> list[FoldResult]:
    """What is done; what is not is said."""
    found = []
    for it in planned:
        result = fold_result.load(result_path(folds, it.job), it.fingerprint)
        if isinstance(result, FoldResult):
            found.append(result)
        else:
            print(f"not in the table: {it.job.name} {it.job.place}: {result}")
    return found


def _report(
    params: Params,
    config: CrossvalConfig,
    options: Options,
    results: list[FoldResult],
    pool: Pool,
    folder: Path,
    parents: Mapping[str, str],
) -> None:
    """Tables, curves and pages, to disk, to MLflow and, if asked, to docs/."""
    study = params.study
    bootstrap = params.block(Bootstrap, "evaluate")
    values = crossval_table.values_of(results)
    summaries = crossval_table.summaries_of(results, values, bootstrap)
    compared = crossval_table.tests_of(
        values, metric="auroc", test_to_train=tested_per_trained(params, pool)
    )
    tables = {
        report_folder(study, "crossval.csv"): crossval_table.to_csv(
            crossval_table.Summary._fields, summaries
        ),
        report_folder(study, "folds.csv"): crossval_table.to_csv(
            crossval_table.Value._fields, values
        ),
        report_folder(study, "tests.csv"): crossval_table.to_csv(
            crossval_table.Compared._fields, compared
        ),
        report_folder(study, "crossval.md"): crossval_table.to_markdown(
            results, summaries, compared, study=study, config=bootstrap
        ),
    }
    for path, text in tables.items():
        path.write_text(text, encoding="utf-8")
    curves = [save_png(figure, folder / f"{name}.png") for name, figure in _curves(results, config)]
    pages = list(_pages(folder, config))
    table = {
        name: {
            f"{it.protocol}.{'grouped' if it.grouped else 'published'}.{it.metric}": it.mean
            for it in summaries
            if it.method == name and it.recipe == crossval_table.SHIPPED
        }
        for name in dict.fromkeys(it.method for it in summaries)
    }
    groups = report_folder(study, "groups.csv")
    written = [*tables, groups, *curves, *pages]
    registry.log_crossval(table, study=study, parents=parents, files=written)
    print(tables[report_folder(study, "crossval.md")])
    print("\n".join(str(it) for it in written))
    if options.keep:
        kept = Path("docs/results") / study
        print(keep(kept, [*tables, groups], curves, results, command=options.command))


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


def _pages(folder: Path, config: CrossvalConfig) -> Iterator[Path]:
    """Pictures of one fold's test scans: not for the repository."""
    for protocol in config.protocols:
        found = {
            it.name: evaluation.load(it, it / "metrics.json")
            for it in sorted((folder / "panels" / protocol).glob("*"))
            if (it / "metrics.json").exists()
        }
        for name, one in found.items():
            page = folder / "pages" / f"{name}_{protocol}.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(to_html(one), encoding="utf-8")
            yield page
            picture = page.with_suffix(".png")
            yield save_png(figures.outcomes(one, GALLERY), picture)
        sizes = {one.panels.image.shape for one in found.values()}
        if len(sizes) == 1:  # an ablation's images may be larger
            few = dict(list(found.items())[:MOST_MODELS])
            yield save_png(
                side_by_side(few, SIDE_BY_SIDE), folder / "pages" / f"side_by_side_{protocol}.png"
            )


def tested_per_trained(params: Params, pool: Pool) -> float:
    """How many images are tested for each that is trained on."""
    fold = fold_of(ungrouped(pool.cases), params.block(SplitConfig, "split"), 0)
    return len(fold.halves[0].test) / len(fold.train)


def write_groups(path: Path, pool: Pool) -> None:
    """Which scans are near-duplicates of each other."""
    lines = [
        (it.scan.as_posix(), "normal" if it.normal else "abnormal", it.group) for it in pool.cases
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(crossval_table.to_csv(("scan", "label", "group"), lines), encoding="utf-8")


def _refuse_unknown(options: Options, config: CrossvalConfig, params: Params) -> None:
    for given, known in (
        (options.methods, config.methods),
        (options.ablations, tuple(config.ablations)),
    ):
        for name in given:
            if name not in known:
                raise BadParamsError(
                    f"{params.path}: crossval does not name {name!r}", hint=suggest(name, known)
                )
    for method in config.methods:
        if find(method).supervised:
            raise BadParamsError(
                f"{method} learns from labels: no abnormal image trains in the 2×5 protocol",
                hint="give it a study of its own, with `abnormals: folds`",
            )


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m export.stages.crossval")
    parser.add_argument("params")
    parser.add_argument("--jobs", type=int, default=0, help="at once; default: what fits")
    parser.add_argument("--methods", default="", help="of the block's, with commas between")
    parser.add_argument("--ablations", default="", help="of the block's, with commas between")
    parser.add_argument("--from", dest="source", type=Path, help="folds of another run")
    parser.add_argument("--only-table", action="store_true", help="fit nothing")
    parser.add_argument("--keep", action="store_true", help="copy to docs/results/<study>")
    parser.add_argument("--delete-models", action="store_true", help="when all is done")
    given = parser.parse_args(arguments)
    options = Options(
        jobs=given.jobs,
        methods=tuple(filter(None, given.methods.split(","))),
        ablations=tuple(filter(None, given.ablations.split(","))),
        source=given.source,
        only_table=given.only_table,
        keep=given.keep,
        delete_models=given.delete_models,
        command=" ".join(["python -m export.stages.crossval", *arguments]),
    )
    return run_stage(lambda params: crossval(params, options), [given.params])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
