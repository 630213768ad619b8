"""What a fold ships: one calibrated file for each keeper of a fit, opened as the product does."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from export.baselines import Baseline
from export.calibration import ExportConfig, calibrate
from export.draft import calibrated, draft_manifest
from export.ensemble import INTENSITY_RANGE, ensemble_of, score_in_words
from export.fitted import Fitted, load_fitted
from export.fold_job import FoldJob, checkpoint_of, validating
from export.graph import ExportedGraph, Graph
from export.release import as_taken, release
from export.scan_scores import THREADS, score_scans
from infer.engine import open_engine
from infer.engine_batches import Engine
from infer.manifest import Manifest, Provenance
from infer.patches import Patches
from train import tracking
from train.data import DataConfig
from train.keeper import Keeper
from train.params import Params
from train.pool import Pool
from train.protocol import CrossvalConfig, Fold
from train.provenance import git_state, library_versions
from train.session import Session

PARITY_IMAGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A released file, or a baseline, and how it was chosen."""

    keeper: str
    manifest: Manifest
    engine: Engine
    recipe: str  # empty: a baseline
    record: int | None  # of the checkpoint; None: nothing was fitted
    auroc: float | None  # on validation, where that chose it
    graph: ExportedGraph | None  # whose model the other score recipes ask
    healthy: torch.Tensor | None  # training images, which some of them standardise by


class Shipping:
    """Whatever of one fold becomes a file; checkpoints and files lie in `models`."""

    def __init__(self, params: Params, job: FoldJob, pool: Pool, fold: Fold, models: Path) -> None:
        self.study = params.study
        self.job = job
        self.pool = pool
        self.fold = fold
        self.models = models
        self.rate = params.block(CrossvalConfig, "crossval").false_positive_rate
        self.export = params.block(ExportConfig, "export")
        self.data = params.block(DataConfig, "data")

    def kept(self, session: Session, run: tracking.Run, keeper: Keeper) -> Shipped:
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
            patches=it.patches,
        )
        assert keeper.kept is not None  # it has just been written
        return Shipped(
            keeper=keeper.name,
            manifest=manifest,
            engine=engine,
            recipe=self._recipe(keeper.kept.score),
            record=keeper.kept.record + 1,
            auroc=keeper.kept.auroc,
            graph=it.graph,
            healthy=session.healthy.cpu(),
        )

    def combined(self, keeper: str) -> Shipped:
        """The ensemble of what a keeper of each member's fit has kept."""
        members = {it: self._fitted(it, keeper) for it in self.job.members}
        graph = ensemble_of(members, self.pool.of(self.fold.blind).images[:])
        manifest, engine = self._release(
            graph, keeper, INTENSITY_RANGE, score_in_words(members), run_id="", seed=0
        )
        return _unfitted(keeper, manifest, engine, recipe=self._recipe("mean"))

    def baseline(self, engine: Baseline, keeper: str) -> Shipped:
        """A baseline, with the threshold that a model would have got."""
        draft = replace(
            self._draft((0.0, 1.0), engine.score_in_words, run_id="", seed=0),
            aggregation=engine.aggregation(self.export.aggregation),
        )
        scored = score_scans(validating(self.fold, keeper), draft, engine)
        manifest = calibrated(draft, calibrate(scored, self._calibration(keeper)))
        return _unfitted(keeper, manifest, engine, recipe="")

    def _release(
        self,
        graph: Graph,
        keeper: str,
        intensity_range: tuple[float, float],
        score_recipe: str,
        *,
        run_id: str,
        seed: int,
        patches: Patches | None = None,
    ) -> tuple[Manifest, Engine]:
        """The file, calibrated as its protocol says, opened as the product does."""
        low, high = intensity_range
        validation = self.pool.of(self.fold.validation).images
        every = max(1, len(validation) // PARITY_IMAGES)
        images = validation[::every] * (high - low) + low
        path = checkpoint_of(self.models, self.job.name, keeper).with_suffix(".onnx")
        manifest = release(
            path,
            graph,
            self._draft(intensity_range, score_recipe, run_id=run_id, seed=seed, patches=patches),
            self._calibration(keeper),
            images=as_taken(np.ascontiguousarray(images, np.float32), patches),
            validation=validating(self.fold, keeper),
        )
        return manifest, open_engine(path, device="cpu", threads=THREADS)

    def _calibration(self, keeper: str) -> ExportConfig:
        """`study` chooses the threshold by F1, `blind` by a rate on normals."""
        return replace(self.export, score_threshold=self.rate if keeper == "blind" else "f1")

    def _draft(
        self,
        intensity_range: tuple[float, float],
        score_recipe: str,
        *,
        run_id: str,
        seed: int,
        patches: Patches | None = None,
    ) -> Manifest:
        git = git_state()
        return draft_manifest(
            self.data,
            self.export,
            study=self.study,
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
            patches=patches,
        )

    def _recipe(self, of_graph: str) -> str:
        """What the table calls the shipped score: a recipe of the graph, or the map."""
        return "map" if self.export.aggregation.slice_score == "map" else of_graph

    def _fitted(self, method: str, keeper: str) -> Fitted:
        return load_fitted(checkpoint_of(self.models, method, keeper), method, self.data)


def _unfitted(keeper: str, manifest: Manifest, engine: Engine, *, recipe: str) -> Shipped:
    """What comes without a fit of its own has neither record nor other recipes."""
    return Shipped(
        keeper=keeper,
        manifest=manifest,
        engine=engine,
        recipe=recipe,
        record=None,
        auroc=None,
        graph=None,
        healthy=None,
    )
