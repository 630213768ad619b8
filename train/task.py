"""What a fit is: everything that determines its weights, and what it says of itself afterwards."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from infer.patches import Patches
from train.added_keys import without_silent
from train.augment import AugmentConfig
from train.patches import Size, input_size
from train.provenance import git_tags, library_versions
from train.scores import ScoreRecipe
from train.stored_images import StoredImages


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All that determines the weights of a fit."""

    study: str
    method: str
    config: Any  # the method's
    augment: AugmentConfig
    scores: dict[str, ScoreRecipe]
    channels: int
    image_size: Size
    data_hash: str
    shared: str  # hash of the networks taken over from another fit; "" for none
    patches: Patches | None  # how images are cut for the network; None: it takes them whole

    @property
    def input_size(self) -> Size:
        """What the network takes."""
        return input_size(self.image_size, self.patches)

    @property
    def fingerprint(self) -> str:
        """Equal for fits that arrive at the same weights."""
        said = asdict(self)
        if self.patches is None:
            del said["patches"]  # a fit of whole images keeps the name it had before
        if said["config"].get("spatial_dims") == 2:
            del said["config"]["spatial_dims"]  # likewise one of slices
        text = json.dumps(without_silent(said), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The images a fit may see."""

    train: np.ndarray | StoredImages
    train_abnormal: np.ndarray  # which of them; none, but for methods that learn from labels
    validation: torch.Tensor  # as the model takes them, on its device
    abnormal: np.ndarray  # which of the validation images

    @property
    def counts(self) -> dict[str, int]:
        return {
            "train_images": len(self.train),
            "train_abnormal": int(self.train_abnormal.sum()),
            "validation_normal": int((~self.abnormal).sum()),
            "validation_abnormal": int(self.abnormal.sum()),
        }


def params_of(task: Task) -> dict[str, Any]:
    """The numbers of a task by dotted names, as a tracker lists them."""
    patches = {} if task.patches is None else {"patches": asdict(task.patches)}
    return dotted({"fit": asdict(task.config), "augment": asdict(task.augment), **patches})


def tags_of(task: Task) -> dict[str, str]:
    """What identifies a run beyond its numbers: data, code and libraries."""
    versions = {f"version.{name}": number for name, number in library_versions().items()}
    return {
        "study": task.study,
        "method": task.method,
        "seed": str(task.config.seed),
        "data_hash": task.data_hash,
        **git_tags(),
        **versions,
    }


def metadata_of(
    task: Task, *, run_id: str, score: str, validation: Mapping[str, Any], processes: int
) -> dict[str, str]:
    """What travels with the weights: enough to rebuild, export and trace the model."""
    return {
        "study": task.study,
        "method": task.method,
        "run_id": run_id,
        "score": score,
        "score_recipe": json.dumps(asdict(task.scores[score])),
        "config": json.dumps(asdict(task.config)),
        "channels": str(task.channels),
        "image_size": json.dumps(task.image_size),
        "patches": "" if task.patches is None else json.dumps(asdict(task.patches)),
        "data_hash": task.data_hash,
        "shared": task.shared,
        "seed": str(task.config.seed),
        "validation": json.dumps(validation),
        "processes": str(processes),
        **git_tags(),
        "versions": json.dumps(library_versions()),
    }


def dotted(blocks: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values of nested blocks by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in blocks.items():
        if isinstance(value, Mapping):
            flat |= dotted(value, f"{before}{name}.")
        else:
            flat[f"{before}{name}"] = value
    return flat
