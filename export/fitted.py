"""A fitted model as export takes it: its graph, its intensity range, what its fit said of it."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from export.graph import ExportedGraph, in_words
from infer.patches import Patches
from train import checkpoint
from train.added_keys import CHANGES_NOTHING
from train.batches import ChannelScale, scale_of
from train.data import DataConfig
from train.params import build
from train.patches import input_size
from train.recipes import find
from train.scores import Scorer, ScoreRecipe
from train.usual import taken_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A checkpoint brought back to life."""

    graph: ExportedGraph
    intensity_range: tuple[float, float]
    scale: ChannelScale  # of its channels, in that range
    patches: Patches | None  # which it takes of images; None: it takes them whole
    score_recipe: str  # in words
    metadata: dict[str, str]


def _numbers(metadata: dict[str, str], config: type[Any]) -> dict[str, Any]:
    """A method's numbers; older checkpoints lack later keys, and do not say they see slices."""
    known = {field.name for field in fields(config)}
    later = {"spatial_dims": 2, **CHANGES_NOTHING}
    silent = {name: value for name, value in later.items() if name in known}
    return {**silent, **json.loads(metadata["config"])}


def load_fitted(path: Path, method: str, data: DataConfig) -> Fitted:
    """The model of a checkpoint under the score recipe chosen for it, in eval mode."""
    tensors, metadata = checkpoint.load(path)
    weights, usual = taken_from(tensors)
    recipe = find(method)
    config: Any = build(recipe.config, _numbers(metadata, recipe.config), where=str(path))
    score = build(ScoreRecipe, json.loads(metadata["score_recipe"]), where=str(path))
    said = metadata.get("patches", "")  # not in older checkpoints
    patches = build(Patches, json.loads(said), where=str(path)) if said else None
    model = recipe.model(config, data.channels, input_size(data.image_size, patches))
    model.load_state_dict(weights)
    return Fitted(
        graph=ExportedGraph(model, Scorer(score, usual)),
        intensity_range=config.intensity_range,
        scale=scale_of(config),
        patches=patches,
        score_recipe=in_words(metadata["score"], score),
        metadata=metadata,
    )
