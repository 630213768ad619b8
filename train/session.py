"""A fit under way: trained, watched, validated, put aside, brought back, and kept at its best."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure

from train import checkpoint, plots, tracking
from train.batches import Batches
from train.paths import checkpoint_path, report_folder
from train.recipes import Recipe
from train.scores import Scorer, ScoreRecipe
from train.seeding import generator_states, restore_generators
from train.task import Images, Task, metadata_of, params_of, tags_of
from train.validation import Validation, as_tensor, findings_of, validate

RESUME_SECONDS = 15.0  # between two writings of the resume file: what a kill costs at most
WATCHES = 12  # grids of generated images over a fit
WATCHED = 256  # training images that generated ones are compared with, at most
SHOWN = 8  # validation images in the final picture, half of them abnormal


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a fit has learned so far, apart from the model's present weights."""

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)  # weights
    best_score: str = ""  # name of the score recipe
    best_value: float = float("-inf")  # AUROC, or −loss
    best_loss: float = float("inf")  # decides between equal values
    best_record: int = -1
    seconds: float = 0.0
    run_id: str = ""


class Session:
    """One fit under way: model, optimisers, batches and progress, put aside and brought back."""

    def __init__(
        self,
        task: Task,
        recipe: Recipe,
        fabric: Fabric,
        model: Any,
        batches: Batches,
        images: Images,
    ) -> None:
        self.task = task
        self.recipe = recipe
        self.fabric = fabric
        self.model = model
        self.batches = batches
        self.images = images
        self.optimizers = model.optimizers()
        self.progress = Progress()
        self.resume_path = checkpoint_path(task.study, task.method).with_suffix(".resume")

    def resume(self) -> None:
        """Bring back the state an interrupted fit of the same task left, if any."""
        state = checkpoint.load_resume(self.resume_path, self.task.fingerprint)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.batches.waiting = state["waiting"]
        self.progress = Progress(**state["progress"])
        restore_generators(state["generators"])
        print(f"{self.task.method}: goes on at record {len(self.progress.history)}")

    def put_aside(self) -> None:
        """Write the resume file."""
        names = Progress.__dataclass_fields__
        state = {
            "model": self.model.state_dict(),
            "optimizers": {name: it.state_dict() for name, it in self.optimizers.items()},
            "waiting": self.batches.waiting,
            "progress": {name: getattr(self.progress, name) for name in names},
            "generators": generator_states(),
        }
        checkpoint.save_resume(self.resume_path, state, self.task.fingerprint)

    def open_run(self) -> tracking.Run:
        """The MLflow run of this fit: the first process's only."""
        if not self.fabric.is_global_zero:
            return tracking.SilentRun()
        task = self.task
        run = tracking.start(
            task.study,
            task.method,
            params=params_of(task) | self.images.counts,
            tags=tags_of(task),
            resume=self.progress.run_id,
        )
        self.progress.run_id = run.id
        return run

    def run_records(self, run: tracking.Run) -> None:
        """Train to the end, looking at the validation images now and then."""
        done, total = len(self.progress.history), self.task.config.records
        started = saved = time.monotonic()
        before = self.progress.seconds
        fitting = self.recipe.fit(
            self.fabric, self.model, self.optimizers, self.batches, range(done, total)
        )
        for step, record in enumerate(fitting, start=done):
            metrics = dict(record.losses)
            last = step == total - 1
            if record.candidate and ((step + 1) % self.task.config.validate_every == 0 or last):
                metrics |= self._validate(step)
            if step % max(1, total // WATCHES) == 0 or last:
                metrics |= self._watch(run, step)
            self.progress.history.append(metrics)
            self.progress.seconds = before + time.monotonic() - started
            run.log(metrics, step)
            if self.fabric.is_global_zero and time.monotonic() - saved > RESUME_SECONDS:
                run.flush()
                self.put_aside()
                saved = time.monotonic()
                print(f"{self.task.method}: record {step + 1} of {total}", _words(metrics))

    def _validate(self, step: int) -> dict[str, float]:
        """Score the validation images; keep the weights if none were better."""
        states = generator_states()  # looking must not change what is drawn next
        seen = validate(self.model, self.task.scores, self.images.validation, self.images.abnormal)
        restore_generators(states)
        name, value = _choose(seen)
        if (value, -seen.loss) > (self.progress.best_value, -self.progress.best_loss):
            self.progress.best = {
                key: tensor.detach().cpu().clone()
                for key, tensor in self.model.state_dict().items()
            }
            self.progress.best_score, self.progress.best_value = name, value
            self.progress.best_loss, self.progress.best_record = seen.loss, step
        metrics = {f"auroc_{name}": value for name, value in seen.auroc.items()}
        if metrics:
            metrics["validation_auroc"] = max(seen.auroc.values())
        return {"validation_loss": seen.loss, **metrics}

    def _watch(self, run: tracking.Run, step: int) -> dict[str, float]:
        """What the method wants watched: figures, and grids for the run's pictures."""
        config = self.task.config
        trained = as_tensor(self.images.train[:WATCHED], config.intensity_range, self.fabric.device)
        seen = self.recipe.watch(self.model, trained)
        for name, images in seen.grids.items():
            run.picture(plots.grid(images, config.intensity_range), f"{name}/{step + 1:05d}")
        return seen.metrics

    def keep(self, run: tracking.Run) -> None:
        """Write the best weights, the metrics and the pictures; the resume file has served."""
        self.model.load_state_dict(self.progress.best)
        if not self.fabric.is_global_zero:
            return
        self._draw(run)
        result = result_of(self.progress)
        path = checkpoint_path(self.task.study, self.task.method)
        metadata = metadata_of(
            self.task, run_id=run.id, score=self.progress.best_score, validation=result
        )
        checkpoint.save(path, self.progress.best, metadata)
        report = report_folder(self.task.study, "fit") / f"{self.task.method}.json"
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(result, indent=2) + "\n")
        numbers = {f"kept_{name}": it for name, it in result.items() if not isinstance(it, str)}
        run.log(numbers, self.task.config.records)
        self.resume_path.unlink(missing_ok=True)
        print(f"{self.task.method}: {path}", json.dumps(result))

    def _draw(self, run: tracking.Run) -> None:
        """The kept model's pictures."""
        recipe = self.task.scores[self.progress.best_score]
        low_high = self.task.config.intensity_range
        seen = validate(
            self.model,
            {self.progress.best_score: recipe},
            self.images.validation,
            self.images.abnormal,
        )
        scores = seen.scores[self.progress.best_score]
        run.picture(_reconstructions(self.model, recipe, self.images, low_high), "reconstructions")
        names = sorted({name for record in self.progress.history for name in record})
        losses = [name for name in names if "auroc" not in name and "distance" not in name]
        run.picture(plots.curves(self.progress.history, losses, "losses"), "losses")
        if seen.auroc:
            auroc = seen.auroc[self.progress.best_score]
            run.picture(plots.roc(scores, self.images.abnormal, auroc), "roc")
            run.picture(plots.f1_over_threshold(scores, self.images.abnormal), "f1")
            run.picture(plots.histogram(scores, self.images.abnormal), "scores")
            areas = [name for name in names if name.startswith("auroc_")]
            run.picture(plots.curves(self.progress.history, areas, "validation AUROC"), "auroc")


def result_of(progress: Progress) -> dict[str, Any]:
    """The metrics of a fit: of the kept model, the losses of the last record, and the time."""
    kept = progress.history[progress.best_record]
    losses = {name: value for name, value in progress.history[-1].items() if "loss" in name}
    return {
        "score": progress.best_score,
        "record": progress.best_record + 1,
        "records": len(progress.history),
        "validation_loss": kept["validation_loss"],
        **({"validation_auroc": progress.best_value} if "validation_auroc" in kept else {}),
        **{f"final_{name}": value for name, value in losses.items()},
        "fit_seconds": round(progress.seconds, 1),
    }


def _choose(seen: Validation) -> tuple[str, float]:
    """The best score recipe and its worth; without abnormal images, the first and −loss."""
    if not seen.auroc:
        return next(iter(seen.scores)), -seen.loss
    name = max(seen.auroc, key=lambda name: seen.auroc[name])
    return name, seen.auroc[name]


def _reconstructions(
    model: Any, recipe: ScoreRecipe, images: Images, intensity_range: tuple[float, float]
) -> Figure:
    """The same validation images for every fit of a study: the first normal and abnormal ones."""
    abnormal = torch.from_numpy(images.abnormal)
    half = SHOWN // 2
    shown = torch.cat([images.validation[~abnormal][:half], images.validation[abnormal][:half]])
    found = findings_of(model, shown)
    maps = Scorer(recipe)(found).anomaly_map
    redrawn = shown - found.evidence if found.reconstruction is None else found.reconstruction
    first, second, third = (it.float().cpu().numpy() for it in (shown, redrawn, maps))
    return plots.reconstructions(first, second, third, intensity_range)


def _words(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
