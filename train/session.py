"""A fit under way: trained, watched, validated, put aside, brought back, and kept."""

import hashlib
import json
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from matplotlib.figure import Figure

from infer.errors import UadError
from train import checkpoint, plots, tracking
from train.batches import Batches, at_once, scale_of
from train.collapse import COLLAPSE_RATIO
from train.keeper import Keeper, Kept
from train.params import BadParamsError
from train.patches import cut, evenly, put_together
from train.precision import resolve
from train.processes import agreed, averaged, of_each
from train.provenance import code_digest
from train.recipes import Recipe
from train.scores import Scorer, candidates
from train.seeding import (
    common_states,
    generator_states,
    restore_common,
    restore_generators,
)
from train.task import Images, Task, metadata_of, params_of, tags_of
from train.usual import tensors_of
from train.validation import HEALTHY, as_tensor, findings_of, validate, validate_each

CODE = code_digest()  # as it is now, when it is loaded
RESUME_SECONDS = 15.0  # between two writings of the resume file: what a kill costs at most
WATCHES = 12  # grids of generated images over a fit
WATCHED = 256  # training images that generated ones are compared with, at most
# Of the time that training steps take, what they spend waiting for images to be read.
DATA_WAIT_SHARE = "data_wait_share"
SHOWN = 8  # validation images in the final picture, half of them abnormal


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a fit has learned so far, apart from the model's present weights."""

    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0
    training: float = 0.0  # of these seconds: in steps, not in looks at the validation images
    waited: float = 0.0  # of these: for training images
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
        keepers: Sequence[Keeper],
        resume_path: Path,
    ) -> None:
        self.task = task
        self.recipe = recipe
        self.fabric = fabric
        self.model = model
        self.batches = batches
        self.images = images
        self.keepers = keepers
        self.resume_path = resume_path
        self.healthy = healthy_images(images, task.config, fabric.device)
        self.optimizers = model.optimizers()
        self.progress = Progress()

    @property
    def precision(self) -> str:
        """What this fit computes in, whatever was left to the device."""
        return resolve(self.task.config.precision, self.fabric.device.type)

    @property
    def _fingerprint(self) -> str:
        """Of the task, what it computes in here, and what is kept of it by which rule."""
        rules = [[it.name, it.rule, it.score, it.rows.tolist()] for it in self.keepers]
        said = json.dumps([self.task.fingerprint, self.precision, rules])
        return hashlib.sha256(said.encode()).hexdigest()

    def resume(self) -> None:
        """Bring back the state an interrupted fit of the same task left, if any."""
        is_first = self.fabric.is_global_zero
        # One reads for all: other machines may not see the file, or see it late.
        state = agreed(self.fabric, self._put_aside_before() if is_first else None)
        if isinstance(state, BadParamsError):
            raise state
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.batches.waiting = state["waiting"]
        self.progress = Progress(**state["progress"])
        for keeper in self.keepers:
            keeper.resume(state["keepers"][keeper.name])
        restore_generators(state["generators"][self.fabric.global_rank])
        restore_common(state["common"])
        if is_first:
            print(f"{self.task.method}: goes on at record {len(self.progress.history)}")

    def _put_aside_before(self) -> dict[str, Any] | BadParamsError | None:
        """What an equal fit left, or why these processes cannot go on with it."""
        state = checkpoint.load_resume(self.resume_path, self._fingerprint)
        if state is None:
            return None
        is_whole = len(state["progress"]["history"]) >= self.task.config.records
        # Half of a fit by one code and half by another is the fit of neither. A whole one is kept:
        # what failed after it, and was mended, is no reason to fit again.
        if state.get("code") != CODE and not is_whole:
            print(
                f"{self.resume_path} was left by another version of the code: the fit begins anew",
                file=sys.stderr,
            )
            tracking.end_lost(state["progress"]["run_id"])
            return None
        if len(state["generators"]) == self.fabric.world_size:
            return state
        were, are = len(state["generators"]), self.fabric.world_size
        return BadParamsError(
            f"{self.resume_path} was left by a fit of {were} processes, now there are {are}",
            hint=f"start {were} to go on, or remove the file to begin anew",
        )

    def put_aside(self) -> None:
        """Write the resume file; all processes come here, each with a chance of its own."""
        generators = of_each(self.fabric, generator_states())
        if not self.fabric.is_global_zero:
            return
        names = Progress.__dataclass_fields__
        state = {
            "model": self.model.state_dict(),
            "optimizers": {name: it.state_dict() for name, it in self.optimizers.items()},
            "waiting": self.batches.waiting,
            "progress": {name: getattr(self.progress, name) for name in names},
            "keepers": {keeper.name: keeper.put_aside() for keeper in self.keepers},
            "generators": generators,
            "common": common_states(),
            "code": CODE,
        }
        checkpoint.save_resume(self.resume_path, state, self._fingerprint)

    def open_run(self, name: str, *, parent: str, told: Mapping[str, Any]) -> tracking.Run:
        """The MLflow run of this fit, below `parent` if one is given: the first process's only.

        Args:
            told: further numbers that it has by name, as those its images were made by.
        """
        if not self.fabric.is_global_zero:
            return tracking.SilentRun()
        task = self.task
        run = tracking.start(
            task.study,
            name,
            params=params_of(task) | dict(told) | self.images.counts,
            tags=tags_of(task)
            | {"precision": self.precision, "processes": str(self.fabric.world_size)},
            parent=parent,
            resume=self.progress.run_id,
        )
        self.progress.run_id = run.id
        return run

    def run_records(self, run: tracking.Run) -> None:
        """Train to the end, looking at the validation images now and then."""
        done, total = len(self.progress.history), self.task.config.records
        if agreed(self.fabric, self._has_stalled(done - 1)):
            return
        self._refuse_unable()
        started = saved = begun = time.monotonic()
        before, waited = self.progress.seconds, self.batches.waited
        fitting = self.recipe.fit(
            self.fabric, self.model, self.optimizers, self.batches, range(done, total)
        )
        for step, record in enumerate(fitting, start=done):
            took, waits = time.monotonic() - begun, self.batches.waited - waited
            self.progress.training += took
            self.progress.waited += waits
            metrics = averaged(self.fabric, record.losses)
            last = step == total - 1
            if not self.fabric.is_global_zero:
                # The first one looks at the validation images for all, and decides.
                last, is_time = agreed(self.fabric, None)
                if is_time:
                    self.put_aside()
                if last:
                    break
                continue
            if record.candidate and ((step + 1) % self.task.config.validate_every == 0 or last):
                metrics |= self._validate(step)
            last = last or self._has_stalled(step)
            if step % max(1, total // WATCHES) == 0 or last:
                metrics |= self._watch(run, step, last=last)
            self.progress.history.append(metrics)
            self.progress.seconds = before + time.monotonic() - started
            # Not in the history, which is the same in every fit of a task.
            run.log({**metrics, DATA_WAIT_SHARE: _share(waits, took)}, step)
            is_time = time.monotonic() - saved > RESUME_SECONDS
            agreed(self.fabric, (last, is_time))
            if is_time:
                run.flush()
                self.put_aside()
                saved = time.monotonic()
                print(f"{self.task.method}: record {step + 1} of {total}", _words(metrics))
            if last:
                break
            begun, waited = time.monotonic(), self.batches.waited

    def _refuse_unable(self) -> None:
        """See, before hours of training, that the method can follow every keeper's recipe.

        Raises:
            BadParamsError: it asks for a score part or a code that the method does not give.
        """
        asked = {it.score for it in self.keepers if it.score}
        if not asked:
            return
        self.model.eval()
        with torch.inference_mode():
            seen = findings_of(self.model, cut(self.images.validation[:1], self.task.patches))
        able = candidates(self.task.scores, seen)
        for name in sorted(asked - able.keys()):
            raise BadParamsError(
                f"{self.task.method} cannot follow the score recipe {name!r}: it does not give "
                "what that asks for",
                hint=f"name one of {', '.join(able)}",
            )

    def _has_stalled(self, step: int) -> bool:
        """Whether the best look is too long ago, where a config says when to lose patience.

        For methods whose learning rate does not run towards the last record.
        """
        patience = getattr(self.task.config, "patience", 0)  # records
        best = max((it.kept.record for it in self.keepers if it.kept), default=step)
        return 0 < patience <= step - best

    def _validate(self, step: int) -> dict[str, float]:
        """Let every keeper look at its own validation images."""
        looks = validate_each(
            self.model,
            self.task.scores,
            self.images.validation,
            self.images.abnormal,
            [keeper.rows for keeper in self.keepers],
            self.healthy,
            self.task.patches,
        )
        weights = {
            key: tensor.detach().cpu().clone() for key, tensor in self.model.state_dict().items()
        }
        metrics: dict[str, float] = {}
        for keeper, seen in zip(self.keepers, looks, strict=True):
            keeper.look(seen, weights, step)
            of = "" if len(self.keepers) == 1 else f"_{keeper.name}"
            metrics |= {f"auroc_{name}{of}": value for name, value in seen.auroc.items()}
            if seen.auroc:
                metrics[f"validation_auroc{of}"] = max(seen.auroc.values())
            metrics[f"validation_loss{of}"] = seen.loss
        return metrics

    def _watch(self, run: tracking.Run, step: int, *, last: bool) -> dict[str, float]:
        """What the method wants watched: figures, and grids for the run's pictures."""
        config = self.task.config
        some = self.images.train[: min(WATCHED, 2 * at_once(self.task.image_size))]
        trained = as_tensor(some, config.intensity_range, self.fabric.device)
        watched = (
            self.images.validation[_shown(self.images.abnormal)]
            if self.recipe.supervised
            else self._some_patches(scale_of(config).standardised(trained))
        )
        seen = self.recipe.watch(self.model, watched)
        for name, images in seen.grids.items():
            run.picture(plots.grid(images, config.intensity_range), f"{name}/{step + 1:05d}")
        if last:  # before, there is hope
            for warning in seen.warnings:
                print(f"warning: {self.task.method}: {warning}", file=sys.stderr)
        return seen.metrics

    def _some_patches(self, images: torch.Tensor) -> torch.Tensor:
        """As many patches as there are images, where the network takes patches."""
        if self.task.patches is None:
            return images
        return evenly(cut(images, self.task.patches), len(images))

    def keep(
        self, run: tracking.Run, keeper: Keeper, path: Path, *, pictures: bool
    ) -> dict[str, Any]:
        """Write a keeper's weights to `path`, log its pictures, and return what is known of it.

        The first process does, and knows: {} in others.
        """
        if not self.fabric.is_global_zero:
            return {}
        kept = _kept(keeper)
        if lost := _not_finite(self.progress.history[-1]):
            print(
                f"warning: {self.task.method}: {lost[0]} is not finite at the end: the fit has "
                f"diverged, and what is kept is of record {kept.record + 1}",
                file=sys.stderr,
            )
        self.model.load_state_dict(kept.weights)
        result = result_of(self.progress, kept)
        of = "" if len(self.keepers) == 1 else f"{keeper.name}/"
        for name, figure in (self._pictures(keeper, kept) if pictures else {}).items():
            run.picture(figure, f"{of}{name}")
        metadata = metadata_of(
            self.task,
            run_id=run.id,
            score=kept.score,
            validation=result,
            processes=self.fabric.world_size,
        )
        checkpoint.save(path, kept.weights | tensors_of(kept.usual), metadata)
        numbers = {f"kept_{name}": it for name, it in result.items() if not isinstance(it, str)}
        run.log({f"{of}{name}": it for name, it in numbers.items()}, self.task.config.records)
        print(f"{self.task.method}: {path}", json.dumps(result))
        return result

    def forget(self) -> None:
        """Remove the resume file: it has served."""
        if self.fabric.is_global_zero:
            self.resume_path.unlink(missing_ok=True)

    def _pictures(self, keeper: Keeper, kept: Kept) -> dict[str, Figure]:
        """What the kept model redraws and how its validation scores part, and the fit's curves."""
        recipe = {kept.score: self.task.scores[kept.score]}
        images, abnormal = self.images.validation[keeper.rows], self.images.abnormal[keeper.rows]
        seen = validate(self.model, recipe, images, abnormal, self.healthy, self.task.patches)
        scores = seen.scores[kept.score]
        history = self.progress.history
        names = sorted({name for record in history for name in record})
        losses = [name for name in names if "auroc" not in name and "distance" not in name]
        # What an interrupted fit had kept comes back on the processor, whatever the device is.
        scorer = Scorer(recipe[kept.score], kept.usual).to(self.fabric.device)
        redrawn = _reconstructions(self.model, scorer, images, abnormal, self.task)
        pictures = {
            "reconstructions": redrawn,
            "losses": plots.curves(history, losses, "losses"),
        }
        if seen.auroc:
            of = "" if len(self.keepers) == 1 else f"_{keeper.name}"
            areas = [f"auroc_{name}{of}" for name in self.task.scores]
            pictures |= {
                "roc": plots.roc(scores, abnormal, seen.auroc[kept.score]),
                "f1": plots.f1_over_threshold(scores, abnormal),
                "scores": plots.histogram(scores, abnormal),
                "auroc": plots.curves(history, areas, "validation AUROC"),
            }
        return pictures


def healthy_images(images: Images, config: Any, device: torch.device) -> torch.Tensor:
    """The normal training images as a model takes them, not augmented."""
    # Evenly: one after the other they may be the slices of a single head.
    normal = images.train[evenly(np.flatnonzero(~images.train_abnormal), HEALTHY)]
    ranged = as_tensor(normal, config.intensity_range, device)
    return scale_of(config).standardised(ranged)


def result_of(progress: Progress, kept: Kept) -> dict[str, Any]:
    """The metrics of a fit: of the kept model, what the last record said, and the time."""
    last = progress.history[-1]
    losses = {
        name: value
        for name, value in last.items()
        if "loss" in name and not name.startswith("validation_loss_")
    }
    return {
        "score": kept.score,
        "record": kept.record + 1,
        "records": len(progress.history),
        "validation_loss": kept.loss,
        **({} if kept.auroc is None else {"validation_auroc": kept.auroc}),
        **{f"final_{name}": value for name, value in losses.items()},
        **({COLLAPSE_RATIO: last[COLLAPSE_RATIO]} if COLLAPSE_RATIO in last else {}),
        "fit_seconds": round(progress.seconds, 1),
        DATA_WAIT_SHARE: round(_share(progress.waited, progress.training), 4),
    }


def _not_finite(record: Mapping[str, float]) -> list[str]:
    return [name for name, value in record.items() if "loss" in name and not math.isfinite(value)]


def _share(waited: float, took: float) -> float:
    return waited / took if took else 0.0


def _kept(keeper: Keeper) -> Kept:
    if keeper.kept is None:  # the last record is a candidate
        raise UadError(
            "the fit diverged: no look at the validation images had a finite loss",
            hint="lower the learning rate, or set precision: 32-true",
        )
    return keeper.kept


def _reconstructions(
    model: Any,
    scorer: Scorer,
    images: torch.Tensor,
    abnormal: np.ndarray,
    task: Task,
) -> Figure:
    """The same validation images for every fit of a study: the first normal and abnormal ones."""
    scale = scale_of(task.config)
    shown = images[_shown(abnormal)]
    taken = cut(shown, task.patches)
    found = findings_of(model, taken)
    maps = scorer(found).anomaly_map
    redrawn = found.reconstruction
    redrawn = scale.undone(taken) - found.evidence if redrawn is None else scale.undone(redrawn)
    seen, expected, found_maps = (
        it.float().cpu().numpy()
        for it in (
            scale.undone(shown),
            put_together(redrawn, task.patches, task.image_size),
            put_together(maps, task.patches, task.image_size),
        )
    )
    return plots.reconstructions(seen, expected, found_maps, task.config.intensity_range)


def _shown(abnormal: np.ndarray) -> np.ndarray:
    """Rows of the first normal and the first abnormal images."""
    half = SHOWN // 2
    return np.concatenate([np.flatnonzero(it)[:half] for it in (~abnormal, abnormal)])


def _words(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
