"""What a model is worth on the validation images, under every score recipe it can follow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from infer.shapes import Images as ImageArray
from infer.shapes import Scores as ScoreArray
from train.batches import to_range
from train.methods.method import Findings
from train.scores import Scorer, ScoreRecipe, candidates

BATCH = 128  # images at a time: a matter of memory only


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One look at the validation images."""

    loss: float  # of the normal images
    scores: dict[str, ScoreArray]  # by score recipe
    auroc: dict[str, float]  # by score recipe; empty where no image is abnormal


@torch.inference_mode()
def validate(
    model: Any,
    recipes: Mapping[str, ScoreRecipe],
    images: torch.Tensor,
    abnormal: np.ndarray,
) -> Validation:
    """Score validation images, already in the method's range, in eval mode and full precision.

    Full precision, because that is what is exported.
    """
    model.eval()
    findings = findings_of(model, images)
    able = candidates(recipes, findings.parts)
    scores = {name: Scorer(recipe)(findings).score.cpu().numpy() for name, recipe in able.items()}
    normal = images[torch.from_numpy(~abnormal)]
    loss = float(model.training_loss(normal[:BATCH]).total)
    if not abnormal.any() or abnormal.all():
        return Validation(loss=loss, scores=scores, auroc={})
    auroc = {name: float(roc_auc_score(abnormal, values)) for name, values in scores.items()}
    return Validation(loss=loss, scores=scores, auroc=auroc)


@torch.inference_mode()
def findings_of(model: Any, images: torch.Tensor) -> Findings:
    """Findings of any number of images."""
    parts = [model.findings(batch) for batch in images.split(BATCH)]
    reconstructions = [part.reconstruction for part in parts]
    return Findings(
        torch.cat([part.evidence for part in parts]),
        None if reconstructions[0] is None else torch.cat(reconstructions),
        {name: torch.cat([part.parts[name] for part in parts]) for name in parts[0].parts},
    )


def as_tensor(
    images: ImageArray, intensity_range: tuple[float, float], device: torch.device
) -> torch.Tensor:
    """Prepared images as a model of that range takes them."""
    return to_range(torch.from_numpy(np.array(images)).to(device), intensity_range)
