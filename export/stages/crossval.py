"""The 2×5 cross validation of every method, in one command, with tables, curves and pages.

`python -m export.stages.crossval studies/head_ct/params.yaml [--jobs N|ray] [--methods cae,dae]
[--ablations no_affine] [--grouping published|grouped] [--folds 0,1] [--from FOLDER] [--only-table]
[--keep] [--delete-models] [--ray-address HOST:PORT]`

Each finished fold is one JSON under reports/<study>/crossval/folds; what is there and fits the
numbers and the data is not run again. An interrupted fit goes on where it was. With `--folds`, the
others are left to another machine or night. The table has all that are done, asked for or not.
"""

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from export import crossval_report, fold_result, kept_results, registry
from export.copied_study import refuse_copies
from export.crossval_beside import check_beside
from export.crossval_plan import (
    ABLATED,
    Planned,
    begun_ablations,
    check_names,
    missing_of,
    plan,
)
from export.crossval_published import check_published
from export.fold_job import FoldJob
from export.fold_result import FoldResult
from export.fold_run import write_fold
from export.job_pool import Done, jobs_at_once, run_jobs
from export.params_check import check_crossval
from export.ray_jobs import ray_jobs
from infer.errors import UadError
from train import tracking
from train.command import run_stage
from train.params import BadParamsError, Params
from train.paths import report_folder
from train.pool import make_pool
from train.processes import refuse_launchers
from train.protocol import CrossvalConfig, SplitConfig

GROUPINGS = ("published", "grouped")  # every slice by itself, or near-duplicates kept together


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    jobs: int | Literal["ray"]  # at once; 0: what the machine bears; ray: spread over a cluster
    methods: tuple[str, ...]  # empty: all of the block
    ablations: tuple[str, ...]
    grouped: tuple[bool, ...]  # empty: as the block says
    folds: tuple[int, ...]  # to be run; empty: all
    source: Path | None  # folds of another run to start from
    only_table: bool
    keep: bool
    delete_models: bool
    command: str
    ray_address: str | None = None  # None: a cluster of this machine alone


def crossval(params: Params, options: Options) -> None:
    """Run what is missing, write tables and pictures, tell MLflow.

    Raises:
        UadError: a fold failed; the others are done, and kept.
    """
    refuse_copies(params)
    config = params.block(CrossvalConfig, "crossval")
    asked_for = replace(config, grouped=options.grouped or config.grouped)
    refuse_launchers(params, options.methods or config.methods)
    check_crossval(params)
    check_names(params, asked_for, methods=options.methods, ablations=options.ablations)
    _check_folds(params, options.folds)
    if options.source is not None and not options.source.is_dir():
        raise BadParamsError(
            f"--from {options.source} is no folder",
            hint="name one with the folds of another run, as docs/results/STUDY/folds",
        )
    check_beside(config.beside)
    check_published(config.published)
    folder = report_folder(params.study, "crossval")
    models = Path("models") / params.study / "crossval"
    stored = f"{params.study}.crossval"
    pool = make_pool(params, stored)
    planned_of = partial(plan, params, pool=pool, stored=stored)
    planned = list(planned_of(asked_for, methods=options.methods, ablations=options.ablations))
    failed: list[str] = []
    missing = missing_of(planned, folder / "folds", models, source=options.source)
    missing = [it for it in missing if not options.folds or it.job.fold in options.folds]
    parents: dict[str, str] = {}  # the run that each method's folds are below
    if not options.only_table:
        # Of all groupings, whichever was asked for: a method has one run.
        every = list(planned_of(config, methods=(), ablations=options.ablations))
        parents = {
            name: _parent(params.study, name, every)
            for name in dict.fromkeys(it.job.name for it in planned if it.job.method)
        }
        failed = _run(missing, folder, models, parents, options)
    # The table has every row that was ever run, whatever was asked for now.
    ablations = begun_ablations(config, folder / "folds", asked=options.ablations)
    rows = list(planned_of(config, methods=(), ablations=ablations))
    missing_of(rows, folder / "folds", models, source=options.source)  # copies what is there
    results, lacking = _results(rows, planned, folder / "folds")
    if results:
        report = crossval_report.write(params, config, results, pool, folder, missing=lacking)
        registry.log_crossval(
            report.numbers,
            study=params.study,
            parents=parents,
            files=report.files,
            data=pool.hash,
        )
        print(report.text)
        print("\n".join(str(it) for it in report.files))
        if options.keep:
            kept = Path("docs/results") / params.study
            print(kept_results.keep(kept, report, results, command=options.command))
    # Not while anything is to be done: interrupted fits go on from there, and variants need them.
    left = {(it.name, it.place) for it in lacking} & {(it.job.name, it.job.place) for it in planned}
    if options.delete_models and not (failed or left):
        _delete(planned, models)
    if failed:
        raise UadError(f"{len(failed)} folds failed: {'; '.join(failed)}", hint="see above")
    if not results:
        raise UadError("no fold is done", hint="run it without --only-table")


def _check_folds(params: Params, folds: Sequence[int]) -> None:
    """Refuse a fold that there is not.

    Raises:
        BadParamsError: the normals are divided into fewer.
    """
    count = params.block(SplitConfig, "split").normal_folds
    for fold in folds:
        if not 0 <= fold < count:
            raise BadParamsError(
                f"{params.path}: there is no fold {fold}: normals are divided into {count}",
                hint=f"use 0 to {count - 1}",
            )


def _run(
    missing: Sequence[Planned],
    folder: Path,
    models: Path,
    parents: Mapping[str, str],
    options: Options,
) -> list[str]:
    """Run the jobs, wave by wave; which failed, in words."""
    if not missing:
        print("0 folds to run")
        return []
    if options.jobs == "ray":
        with ray_jobs(options.ray_address) as cluster:
            print(f"{len(missing)} folds to run on Ray, {cluster.at_once} at once")
            return _run_waves(missing, folder, models, parents, cluster.run)
    gpus = torch.cuda.device_count()
    at_once = options.jobs or jobs_at_once(gpus)
    print(f"{len(missing)} folds to run, {at_once} at once")

    def run(task: Callable[[Any], Any], jobs: Sequence[Planned]) -> Iterable[Done]:
        return run_jobs(task, jobs, at_once=max(1, min(at_once, len(jobs))), gpus=gpus)

    return _run_waves(missing, folder, models, parents, run)


def _run_waves(
    missing: Sequence[Planned],
    folder: Path,
    models: Path,
    parents: Mapping[str, str],
    run: Callable[[Callable[[Any], Any], Sequence[Planned]], Iterable[Done]],
) -> list[str]:
    """What a wave needs was made by those before it; which failed, in words."""
    failed = []
    for wave in sorted({it.wave for it in missing}):
        own = [
            replace(it, job=replace(it.job, parent_run=parents.get(it.job.name, "")))
            for it in missing
            if it.wave == wave
        ]
        task = partial(write_fold, folder=folder, models=models)
        for done in run(task, own):
            job = done.job.job
            said = f"{job.name} {job.place}"
            print(f"{said}: {done.error or done.result}", flush=True)
            if done.error:
                failed.append(f"{said}: {done.error}")
    return failed


def _parent(study: str, name: str, planned: Sequence[Planned]) -> str:
    """The run that a method's folds are below: the same one as long as its numbers are the same."""
    own = sorted(it.fingerprint for it in planned if it.job.name == name)
    tags = {
        "study": study,
        "method": name,
        "stage": "crossval",
        "folds": hashlib.sha256("".join(own).encode()).hexdigest(),
    }
    return tracking.record(study, f"crossval {name}", tags=tags, once=True)


def _results(
    rows: Sequence[Planned], asked: Sequence[Planned], folds: Path
) -> tuple[list[FoldResult], list[FoldJob]]:
    """What is done, and what is not of the rows that were asked for or begun, which is said."""
    found, missing = [], []
    for it in rows:
        result = fold_result.load(it.path(folds), it.fingerprint)
        if isinstance(result, FoldResult):
            found.append(result)
        else:
            missing.append((it.job, result))
    begun = {(it.method, it.grouped) for it in found}
    # Nobody is waiting for the ablations of methods that were never run with them.
    begun |= {(it.job.name, it.job.grouped) for it in asked if ABLATED not in it.job.name}
    lacking = [(job, why) for job, why in missing if (job.name, job.grouped) in begun]
    for job, why in lacking:
        print(f"not in the table: {job.name} {job.place}: {why}")
    return found, [job for job, _ in lacking]


def _delete(planned: Sequence[Planned], models: Path) -> None:
    """Remove what fits of these rows left, and of no others: they may not be done, or be running.

    Locks stay, as who takes one asks for.
    """
    for it in planned:
        for path in (models / it.job.place).glob(f"{it.job.name}.*"):
            path.unlink(missing_ok=True)


def _jobs(said: str) -> int | Literal["ray"]:
    """What `--jobs` may be."""
    return "ray" if said == "ray" else int(said)


def _folds(said: str) -> tuple[int, ...]:
    """What `--folds` may be: numbers with commas between."""
    return tuple(map(int, said.split(",")))


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m export.stages.crossval")
    parser.add_argument("params")
    parser.add_argument(
        "--jobs", type=_jobs, default=0, help="at once, or ray: on a cluster; default: what fits"
    )
    parser.add_argument("--ray-address", help="of the cluster; default: this machine alone")
    parser.add_argument("--methods", default="", help="of the block's, with commas between")
    parser.add_argument("--ablations", default="", help="of the block's, with commas between")
    parser.add_argument("--grouping", choices=GROUPINGS, help="one of them; default: the block's")
    parser.add_argument(
        "--folds", type=_folds, default=(), help="to be run, with commas between; default: all"
    )
    parser.add_argument("--from", dest="source", type=Path, help="folds of another run")
    parser.add_argument("--only-table", action="store_true", help="fit nothing")
    parser.add_argument("--keep", action="store_true", help="copy to docs/results/<study>")
    parser.add_argument("--delete-models", action="store_true", help="when all is done")
    given = parser.parse_args(arguments)
    if given.ray_address and given.jobs != "ray":
        parser.error("--ray-address goes with --jobs ray")
    options = Options(
        jobs=given.jobs,
        methods=tuple(filter(None, given.methods.split(","))),
        ablations=tuple(filter(None, given.ablations.split(","))),
        grouped=(given.grouping == "grouped",) if given.grouping else (),
        folds=given.folds,
        source=given.source,
        only_table=given.only_table,
        keep=given.keep,
        delete_models=given.delete_models,
        command=" ".join(["python -m export.stages.crossval", *arguments]),
        ray_address=given.ray_address,
    )
    return run_stage(lambda params: crossval(params, options), [given.params])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
