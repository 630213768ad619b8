"""One fold of one method: fitted or combined, shipped for every protocol, and tested."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from export import fold_result
from export.baselines import baselines
from export.crossval_plan import Planned
from export.fold_job import (
    FoldJob,
    checkpoint_of,
    fingerprint_of,
    keeper_names,
    note_of,
    resume_of,
    validating,
)
from export.fold_result import SCHEMA, FoldResult, HalfResult, thinned
from export.fold_shipping import Shipped, Shipping
from export.fold_testing import HalfTests
from infer.errors import BadModelError
from infer.writers.atomic import write_bytes
from train import tracking
from train.fitting import fitted, shared_of, task_of, told_of
from train.keeper import Keeper
from train.params import Params
from train.pool import Pool, load_pool
from train.protocol import CrossvalConfig, Fold, SplitConfig, fold_of, ungrouped
from train.provenance import git_state, library_versions
from train.recipes import find

CURVE_POINTS = 60


def write_fold(planned: Planned, *, folder: Path, models: Path) -> Path:
    """Run one job and write its result.

    Not in the stage, which is `__main__` where it is started: other machines find this by its name.
    """
    found = run_fold(planned.params, planned.job, models=models, reports=folder)
    path = planned.path(folder / "folds")
    fold_result.save(path, found)
    # No sooner: whatever fails before, the fit is not lost.
    resume_of(models / planned.job.place, planned.job.name).unlink(missing_ok=True)
    return path


def run_fold(params: Params, job: FoldJob, *, models: Path, reports: Path) -> FoldResult:
    """Fit or combine, ship, test; checkpoints and files go to `models`, panels to `reports`."""
    pool = load_pool(job.pool)
    cases = pool.cases if job.grouped else ungrouped(pool.cases)
    fold = fold_of(cases, params.block(SplitConfig, "split"), job.fold)
    run = _FoldRun(params, job, pool, fold, models / job.place, reports)
    if job.trivial:
        return run.baseline()
    return run.ensemble() if job.members else run.method()


class _FoldRun:
    """One fold under way."""

    def __init__(
        self, params: Params, job: FoldJob, pool: Pool, fold: Fold, models: Path, reports: Path
    ) -> None:
        self.params = params
        self.job = job
        self.pool = pool
        self.fold = fold
        self.models = models
        self.config = params.block(CrossvalConfig, "crossval")
        self.shipping = Shipping(params, job, pool, fold, models)
        self.half_tests = HalfTests(params, job, pool, fold, reports)

    def method(self) -> FoldResult:
        """Fit once, with a keeper for each choice that may be made."""
        job, params = self.job, self.params
        if (of := params.of("fit", job.method)) and find(job.method).shared:
            self._refuse_other_fits({of + job.suffix: of})
        note = note_of(self.models, job.name)
        note.unlink(missing_ok=True)  # of checkpoints that are about to be replaced
        shared = shared_of(
            params, job.method, self._data_hash(), folder=self.models, suffix=job.suffix
        )
        task = task_of(params, job.method, self._data_hash(), shared)
        train = self.pool.of(self.fold.train)
        validation = self.pool.of(self.fold.validation)
        keepers = self._keepers()
        with fitted(
            task,
            shared=shared,
            train=train.images,
            train_abnormal=train.abnormal,
            validation=validation.images[:],
            abnormal=validation.abnormal,
            keepers=keepers,
            resume_path=resume_of(self.models, job.name),
            run_name=f"{job.name} {job.place}",
            parent_run=job.parent_run,
            told=told_of(params),
        ) as (session, run):
            tests = self._tests([self.shipping.kept(session, run, it) for it in keepers])
            _log(run, tests, session.task.config.records)
            # Under its bare name, for variants: what they share is the same in every keeper's.
            write_bytes(
                self.models / f"{job.name}.safetensors",
                checkpoint_of(self.models, job.name, keepers[0].name).read_bytes(),
            )
            write_bytes(note, self._fingerprint().encode())
            return self._result(
                tests,
                fit_seconds=round(session.progress.seconds, 1),
                history=thinned(_of_interest(session.progress.history), at_most=CURVE_POINTS),
                run_id=run.id,
                precision=session.precision,
            )

    def ensemble(self) -> FoldResult:
        """Combine what the members' fits of this fold kept."""
        self._refuse_other_fits({it: it for it in self.job.members})
        tests = self._tests([self.shipping.combined(it) for it in keeper_names(self.config)])
        return self._result(tests, fit_seconds=None, history={}, run_id="")

    def baseline(self) -> FoldResult:
        """Calibrate on validation and test, as a model is."""
        train = self.pool.of(self.fold.train)
        (engine,) = (it for it in baselines(train.images) if it.name == self.job.name)
        names = keeper_names(self.config)
        tests = self._tests([self.shipping.baseline(engine, it) for it in names])
        return self._result(tests, fit_seconds=None, history={}, run_id="")

    def _refuse_other_fits(self, methods: Mapping[str, str]) -> None:
        """Whose checkpoints are read must be of these numbers and data: those of an earlier run
        lie there still when a fit has failed.

        Args:
            methods: by the name of the row.

        Raises:
            BadModelError: one is of another fit, or of one that was not finished.
        """
        for name, method in methods.items():
            job = replace(self.job, name=name, method=method, members=())
            note = note_of(self.models, name)
            wanted = fingerprint_of(self.params, job, self.pool.hash)
            if not note.exists() or note.read_text() != wanted:
                raise BadModelError(
                    f"what lies in {self.models} of {name} is of other numbers, or its fit has "
                    f"not been finished: {self.job.name} cannot be made of it",
                    hint=f"run the same command again: {name} is fitted first",
                )

    def _keepers(self) -> list[Keeper]:
        validation = self.pool.of(self.fold.validation)
        return [
            Keeper(
                name=name,
                rule=self.config.blind_checkpoint if name == "blind" else "auroc",
                score=self.config.blind_scores[self.job.method] if name == "blind" else "",
                rows=validation.rows_of(validating(self.fold, name)),
            )
            for name in keeper_names(self.config)
        ]

    def _tests(self, shipped: Sequence[Shipped]) -> list[HalfResult]:
        return [test for one in shipped for test in self.half_tests.of(one)]

    def _data_hash(self) -> str:
        """Of the data and its division: a checkpoint of one fold is no other fold's.

        Nor is it that of the same fold under another seed, whose test it may have trained on.
        """
        sides = [
            sorted(it.scan.as_posix() for it in side)
            for side in (self.fold.train, self.fold.validation)
        ]
        said = [self.pool.hash, self.job.place.as_posix(), sides]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def _fingerprint(self) -> str:
        return fingerprint_of(self.params, self.job, self.pool.hash)

    def _result(
        self,
        tests: Sequence[HalfResult],
        *,
        fit_seconds: float | None,
        history: dict[str, tuple[tuple[int, float], ...]],
        run_id: str,
        precision: str = "",
    ) -> FoldResult:
        git = git_state()
        return FoldResult(
            schema=SCHEMA,
            study=self.params.study,
            method=self.job.name,
            trivial=self.job.trivial,
            grouped=self.job.grouped,
            fold=self.job.fold,
            fingerprint=self._fingerprint(),
            fit_seconds=fit_seconds,
            history=history,
            tests=tuple(tests),
            provenance={
                "git_commit": git.commit,
                "git_dirty": git.dirty,
                "data_hash": self.pool.hash,
                "mlflow_run_id": run_id,
                "versions": library_versions(),
                "machine": f"{platform.system()} {platform.machine()}, {_device()}",
                **({"precision": precision} if precision else {}),
            },
        )


def _of_interest(history: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Losses and the best validation AUROC; the areas of all recipes would be too many."""
    return [
        {it: value for it, value in record.items() if not it.startswith("auroc_")}
        for record in history
    ]


def _log(run: tracking.Run, tests: Sequence[HalfResult], step: int) -> None:
    for test in tests:
        found = test.metrics()
        run.log({f"test_{test.protocol}_{test.half}_{it}": found[it] for it in found}, step)


def _device() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads"
