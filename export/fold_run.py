"""One fold of one method: fitted, exported for every protocol, and tested through `infer`."""

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from export import evaluation
from export.baselines import Baseline, baselines
from export.calibration import ExportConfig, calibrate
from export.draft import calibrated, draft_manifest
from export.ensemble import INTENSITY_RANGE, ensemble_of, score_in_words
from export.fitted import Fitted, load_fitted
from export.fold_result import SCHEMA, FoldResult, HalfResult, ScanResult, thinned
from export.graph import ExportedGraph, Graph
from export.reconstruction_quality import quality_of
from export.release import release
from export.scan_scores import THREADS, ScoredScan, is_anomalous, score_scans
from infer.engine import open_engine
from infer.finding import Engine
from infer.manifest import Manifest, Provenance
from infer.scoring import scan_score
from train import tracking
from train.data import DataConfig
from train.datasets.case import Case
from train.fitting import fitted, shared_of, task_of
from train.keeper import Keeper
from train.metrics import Bootstrap
from train.params import Params
from train.pool import Cut, Pool, load_pool
from train.protocol import CrossvalConfig, Fold, Protocol, SplitConfig, fold_of, ungrouped
from train.provenance import git_state, library_versions
from train.recipes import find
from train.scores import ScoreRecipe, scorers
from train.session import Session
from train.validation import findings_of

CURVE_POINTS = 60
PARITY_IMAGES = 8
SHOWN = (0, 0)  # fold and half whose panels are kept, of the scans as published


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldJob:
    """What to run: enough for another process to do it."""

    name: str  # the row's method: a method, an ablation of one, an ensemble or a baseline
    method: str  # the method itself; empty: an ensemble or a baseline
    members: tuple[str, ...]  # of an ensemble
    pool: str  # where its data lies, see `train.pool`
    grouped: bool
    fold: int
    parent_run: str

    @property
    def trivial(self) -> bool:
        return not self.method and not self.members

    @property
    def place(self) -> Path:
        """Under which of a folder's parts its files lie."""
        return Path("grouped" if self.grouped else "published") / f"fold{self.fold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shipped:
    """A released file, or a baseline, and how it was chosen."""

    keeper: str
    manifest: Manifest
    engine: Engine
    recipe: str
    record: int | None
    auroc: float | None
    graph: ExportedGraph | None  # whose model the other score recipes ask
    healthy: torch.Tensor | None  # training images, which some of them standardise by


def keeper_names(config: CrossvalConfig) -> list[str]:
    """One for each half of the abnormals, and one that sees none."""
    halves = ["study_0", "study_1"] if "study" in config.protocols else []
    return [*halves, *(["blind"] if "blind" in config.protocols else [])]


def checkpoint_of(models: Path, name: str, keeper: str) -> Path:
    """The weights that a keeper of a fit has kept."""
    return models / f"{name}.{keeper}.safetensors"


def fingerprint_of(params: Params, job: FoldJob, pool_hash: str) -> str:
    """Equal for jobs that arrive at the same result, on whatever machine."""
    config = params.block(CrossvalConfig, "crossval")
    split = params.block(SplitConfig, "split")
    fits = job.members or ((job.method,) if job.method else ())
    relied_on = [it for name in fits for it in (name, params.of("fit", name)) if it]
    said = {
        "name": job.name,
        "members": job.members,
        "data": pool_hash,
        "grouped": job.grouped,
        "fold": job.fold,
        "split": [split.seed, split.normal_folds],
        "fit": {it: asdict(params.block(find(it).config, "fit", it)) for it in relied_on},
        "augment": dict(params.values["augment"]) if fits else {},
        "scores": dict(params.values["scores"]) if fits else {},
        "export": dict(params.values["export"]),
        "rate": config.false_positive_rate,
        "blind": [config.blind_checkpoint, *(config.blind_scores[it] for it in fits)],
        "protocols": config.protocols,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def run_fold(params: Params, job: FoldJob, *, models: Path, reports: Path) -> FoldResult:
    """Fit or combine, export, test; checkpoints and files go to `models`, panels to `reports`."""
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
        self.reports = reports
        self.config = params.block(CrossvalConfig, "crossval")
        self.export = params.block(ExportConfig, "export")
        self.data = params.block(DataConfig, "data")
        self.group_of = {case.scan: case.group for case in pool.cases}
        self.validation: Cut = pool.of(fold.validation)

    def method(self) -> FoldResult:
        """Fit once, with a keeper for each choice that may be made."""
        job, params = self.job, self.params
        shared = shared_of(params, job.method, self._data_hash(), folder=self.models)
        task = task_of(params, job.method, self._data_hash(), shared)
        train = self.pool.of(self.fold.train)
        keepers = self._keepers()
        with fitted(
            task,
            shared=shared,
            train=train.images,
            train_abnormal=train.abnormal,
            validation=self.validation.images,
            abnormal=self.validation.abnormal,
            keepers=keepers,
            resume_path=self.models / f"{job.name}.resume",
            run_name=f"{job.name} {job.place}",
            parent_run=job.parent_run,
        ) as (session, run):
            shipped = [self._ship_kept(session, run, keeper) for keeper in keepers]
            tests = [it for one in shipped for it in self._tests(one)]
            _log(run, tests, session.task.config.records)
            session.forget()
            # Under its bare name, for variants: what they share is the same in every keeper's.
            shutil.copyfile(
                checkpoint_of(self.models, job.name, keepers[0].name),
                self.models / f"{job.name}.safetensors",
            )
            return self._result(
                tests,
                fit_seconds=round(session.progress.seconds, 1),
                history=thinned(_of_interest(session.progress.history), at_most=CURVE_POINTS),
                run_id=run.id,
            )

    def ensemble(self) -> FoldResult:
        """Combine what the members' fits of this fold kept."""
        shipped = []
        for name in keeper_names(self.config):
            members = {it: self._fitted(it, name) for it in self.job.members}
            images = self.pool.of(self.fold.blind).images
            graph = ensemble_of(members, images)
            manifest, engine = self._release(
                graph, name, INTENSITY_RANGE, score_in_words(members), run_id="", seed=0
            )
            shipped.append(
                _Shipped(
                    keeper=name,
                    manifest=manifest,
                    engine=engine,
                    recipe="mean",
                    record=None,
                    auroc=None,
                    graph=None,
                    healthy=None,
                )
            )
        tests = [it for one in shipped for it in self._tests(one)]
        return self._result(tests, fit_seconds=None, history={}, run_id="")

    def baseline(self) -> FoldResult:
        """Calibrate on validation and test, as a model is."""
        train = self.pool.of(self.fold.train)
        (engine,) = (it for it in baselines(train.images) if it.name == self.job.name)
        shipped = [self._calibrated(engine, name) for name in keeper_names(self.config)]
        tests = [it for one in shipped for it in self._tests(one)]
        return self._result(tests, fit_seconds=None, history={}, run_id="")

    def _keepers(self) -> list[Keeper]:
        return [
            Keeper(
                name=name,
                rule=self.config.blind_checkpoint if name == "blind" else "auroc",
                score=self.config.blind_scores[self.job.method] if name == "blind" else "",
                rows=self.validation.rows_of(self._validating(name)),
            )
            for name in keeper_names(self.config)
        ]

    def _validating(self, keeper: str) -> list[Case]:
        """The cases that a keeper, and the thresholds of its file, may see."""
        if keeper == "blind":
            return self.fold.blind
        return self.fold.halves[int(keeper[-1])].validation

    def _ship_kept(self, session: Session, run: tracking.Run, keeper: Keeper) -> _Shipped:
        """Write a keeper's checkpoint, and the file that ships it."""
        path = checkpoint_of(self.models, self.job.name, keeper.name)
        session.keep(run, keeper, path, pictures=keeper is session.keepers[0])
        it = load_fitted(path, self.job.method, self.data)
        manifest, engine = self._release(
            it.graph,
            keeper.name,
            it.intensity_range,
            it.score_recipe,
            run_id=run.id,
            seed=session.task.config.seed,
        )
        assert keeper.kept is not None  # it has just been written
        return _Shipped(
            keeper=keeper.name,
            manifest=manifest,
            engine=engine,
            recipe=keeper.kept.score,
            record=keeper.kept.record + 1,
            auroc=keeper.kept.auroc,
            graph=it.graph,
            healthy=session.healthy.cpu(),
        )

    def _release(
        self,
        graph: Graph,
        keeper: str,
        intensity_range: tuple[float, float],
        score_recipe: str,
        *,
        run_id: str,
        seed: int,
    ) -> tuple[Manifest, Engine]:
        """The file, calibrated as its protocol says, opened as the product does."""
        low, high = intensity_range
        every = max(1, len(self.validation.images) // PARITY_IMAGES)
        images = self.validation.images[::every] * (high - low) + low
        path = checkpoint_of(self.models, self.job.name, keeper).with_suffix(".onnx")
        manifest = release(
            path,
            graph,
            self._draft(intensity_range, score_recipe, run_id=run_id, seed=seed),
            self._calibration(keeper),
            images=np.ascontiguousarray(images, np.float32),
            validation=self._validating(keeper),
        )
        return manifest, open_engine(path, device="cpu", threads=THREADS)

    def _calibrated(self, engine: Baseline, keeper: str) -> _Shipped:
        draft = self._draft((0.0, 1.0), engine.in_words, run_id="", seed=0)
        scored = score_scans(self._validating(keeper), draft, engine)
        manifest = calibrated(draft, calibrate(scored, self._calibration(keeper)))
        return _Shipped(
            keeper=keeper,
            manifest=manifest,
            engine=engine,
            recipe="",
            record=None,
            auroc=None,
            graph=None,
            healthy=None,
        )

    def _calibration(self, keeper: str) -> ExportConfig:
        """`study` chooses the threshold by F1, `blind` by a rate on normals."""
        rate = self.config.false_positive_rate
        return replace(self.export, score_threshold=rate if keeper == "blind" else "f1")

    def _draft(
        self, intensity_range: tuple[float, float], score_recipe: str, *, run_id: str, seed: int
    ) -> Manifest:
        git = git_state()
        return draft_manifest(
            self.data,
            self.export,
            study=self.params.study,
            method=self.job.name,
            intensity_range=intensity_range,
            score_recipe=score_recipe,
            provenance=Provenance(
                mlflow_run_id=run_id,
                git_commit=git.commit,
                git_dirty=git.dirty,
                data_hash=self.pool.hash,
                seed=seed,
                versions=library_versions(),
            ),
        )

    def _tests(self, shipped: _Shipped) -> list[HalfResult]:
        """Of the half that the file may be tested on; `blind` may be tested on both."""
        halves = (0, 1) if shipped.keeper == "blind" else (int(shipped.keeper[-1]),)
        return [self._test(shipped, half) for half in halves]

    def _test(self, shipped: _Shipped, half: int) -> HalfResult:
        cases, manifest = self.fold.halves[half].test, shipped.manifest
        scored = list(score_scans(cases, manifest, shipped.engine))
        protocol: Protocol = "blind" if shipped.keeper == "blind" else "study"
        shown = not (self.job.grouped or self.job.trivial)
        if shown and (self.job.fold, half) == SHOWN:
            self._keep_panels(scored, manifest, protocol)
        return HalfResult(
            protocol=protocol,
            half=half,
            recipe=shipped.recipe,
            record=shipped.record,
            validation_auroc=shipped.auroc,
            score_threshold=manifest.score_threshold.value,
            chosen_by=manifest.score_threshold.chosen_by,
            scans=tuple(self._tested(it, manifest) for it in scored),
            other_scores=self._other_scores(shipped, scored),
        )

    def _tested(self, scored: ScoredScan, manifest: Manifest) -> ScanResult:
        case, finding = scored.case, scored.finding
        quality = quality_of(finding, manifest) if case.normal else None
        return ScanResult(
            scan=case.scan.as_posix(),
            group=self.group_of[case.scan],
            abnormal=not case.normal,
            score=finding.score,
            anomalous=is_anomalous(finding, manifest),
            psnr=None if quality is None else quality.psnr,
            ssim=None if quality is None else quality.ssim,
        )

    def _other_scores(
        self, shipped: _Shipped, scored: Sequence[ScoredScan]
    ) -> dict[str, tuple[float, ...]]:
        """What every score recipe would have said of the same images: for the table only."""
        if shipped.graph is None or shipped.healthy is None:
            return {}
        recipes = self.params.blocks(ScoreRecipe, "scores")
        groups = [it.finding.images for it in scored]
        ends = np.cumsum([len(images) for images in groups])[:-1]
        images = torch.from_numpy(np.concatenate(groups))
        said = _by_recipe(shipped.graph, recipes, images, shipped.healthy)
        how = self.export.aggregation
        return {
            name: tuple(scan_score(own, how) for own in np.split(scores, ends))
            for name, scores in said.items()
        }

    def _keep_panels(
        self, scored: Sequence[ScoredScan], manifest: Manifest, protocol: Protocol
    ) -> None:
        """What the pages show; of one fold and half, for it is many pixels."""
        few = Bootstrap(resamples=1, confidence=0.5, seed=0)  # the table has its own intervals
        folder = self.reports / "panels" / protocol / self.job.name
        found = evaluation.evaluate(scored, manifest, few)
        evaluation.save(folder, folder / "metrics.json", found)

    def _fitted(self, method: str, keeper: str) -> Fitted:
        return load_fitted(checkpoint_of(self.models, method, keeper), method, self.data)

    def _data_hash(self) -> str:
        """Of the data and its division: a checkpoint of one fold is no other fold's."""
        said = [self.pool.hash, self.job.place.as_posix()]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def _result(
        self,
        tests: Sequence[HalfResult],
        *,
        fit_seconds: float | None,
        history: dict[str, tuple[tuple[int, float], ...]],
        run_id: str,
    ) -> FoldResult:
        git = git_state()
        return FoldResult(
            schema=SCHEMA,
            study=self.params.study,
            method=self.job.name,
            trivial=self.job.trivial,
            grouped=self.job.grouped,
            fold=self.job.fold,
            fingerprint=fingerprint_of(self.params, self.job, self.pool.hash),
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
            },
        )


@torch.inference_mode()
def _by_recipe(
    graph: ExportedGraph,
    recipes: Mapping[str, ScoreRecipe],
    images: torch.Tensor,
    healthy: torch.Tensor,
) -> dict[str, np.ndarray]:
    findings = findings_of(graph.model, images)
    able = scorers(recipes, findings.parts, findings_of(graph.model, healthy).evidence)
    return {name: scorer(findings).score.numpy() for name, scorer in able.items()}


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
