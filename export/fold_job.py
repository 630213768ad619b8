"""One fold of one method that is to be run, and what tells its result from others."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from train.added_keys import block_without_silent, without_silent
from train.datasets.case import Case
from train.params import Params
from train.patchwise import patches_of
from train.protocol import CrossvalConfig, Fold, SplitConfig
from train.recipes import find


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
    def suffix(self) -> str:
        """What its row's name has beyond the method's: that of an ablation, or nothing."""
        return self.name.removeprefix(self.method) if self.method else ""

    @property
    def place(self) -> Path:
        """Under which of a folder's parts its files lie."""
        return Path("grouped" if self.grouped else "published") / f"fold{self.fold}"


def keeper_names(config: CrossvalConfig) -> list[str]:
    """One for each half of the abnormals, and one that sees none."""
    halves = ["study_0", "study_1"] if "study" in config.protocols else []
    return [*halves, *(["blind"] if "blind" in config.protocols else [])]


def validating(fold: Fold, keeper: str) -> list[Case]:
    """The cases that a keeper, and the thresholds of its file, may see."""
    if keeper == "blind":
        return fold.blind
    return fold.halves[int(keeper[-1])].validation


def checkpoint_of(models: Path, name: str, keeper: str) -> Path:
    """The weights that a keeper of a fit has kept."""
    return models / f"{name}.{keeper}.safetensors"


def note_of(models: Path, name: str) -> Path:
    """Says of which fingerprint the checkpoints of a fit are, once all of them are written."""
    return models / f"{name}.fit"


def resume_of(models: Path, name: str) -> Path:
    """The state of a fit that was interrupted."""
    return models / f"{name}.resume"


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
        "fit": {
            it: block_without_silent(it, asdict(params.block(find(it).config, "fit", it)))
            for it in relied_on
        },
        "augment": dict(params.values["augment"]) if fits else {},
        "scores": dict(params.values["scores"]) if fits else {},
        "export": dict(params.values["export"]),
        "rate": config.false_positive_rate,
        "blind": [config.blind_checkpoint, *(config.blind_scores[it] for it in fits)],
        "protocols": config.protocols,
    }
    patches = {it: asdict(cut) for it in relied_on if (cut := patches_of(params, it))}
    if patches:  # results of whole images keep the name they had before
        said["patches"] = patches
    text = json.dumps(without_silent(said), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
