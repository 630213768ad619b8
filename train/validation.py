"""What a model is worth on the validation images, under every score recipe it can follow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from infer.patches import Patches, image_scores
from infer.shapes import Images as ImageArray
from infer.shapes import Scores as ScoreArray
from train.batches import at_once, to_range
from train.methods.method import Findings, LabelledModel
from train.patches import cut, evenly
from train.scores import Scorer, ScoreRecipe, scorers
from train.seeding import chance_aside

HEALTHY = 128  # training images that evidence is standardised by: a spread is known to 6 %
SEED = 0  # of the noise in a validation loss


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One look at the validation images."""

    loss: float  # of the normal images; where a method learns from labels, of all
    scores: dict[str, ScoreArray]  # by score recipe
    compares: bool  # whether some images are normal and some abnormal
    auroc: dict[str, float]  # by score recipe, of those with finite scores, if it compares
    scorers: dict[str, Scorer]  # by score recipe


def validate(
    model: Any,
    recipes: Mapping[str, ScoreRecipe],
    images: torch.Tensor,
    abnormal: np.ndarray,
    healthy: torch.Tensor,
    patches: Patches | None = None,
) -> Validation:
    """One look at all validation images; see `validate_each`."""
    everything = [np.arange(len(abnormal))]
    (seen,) = validate_each(model, recipes, images, abnormal, everything, healthy, patches)
    return seen


@torch.inference_mode()
def validate_each(
    model: Any,
    recipes: Mapping[str, ScoreRecipe],
    images: torch.Tensor,
    abnormal: np.ndarray,
    subsets: Sequence[np.ndarray],
    healthy: torch.Tensor,
    patches: Patches | None = None,
) -> list[Validation]:
    """What one look says of each subset of rows: every image is scored once.

    Images, and the `healthy` training images that recipes standardise by, are already in the
    method's range, and whole, whatever the network takes. In eval mode and full precision, because
    that is what is exported. A loss that draws noise draws the same at every look, so that looks
    compare, and the fit's own chance is left alone.
    """
    model.eval()
    findings, able, scores = score(model, recipes, images, healthy, patches)
    learns_labels = isinstance(model, LabelledModel)
    losses: dict[bytes, float] = {}
    seen = []
    for rows in subsets:
        counted = rows if learns_labels else rows[~abnormal[rows]]
        if (key := counted.tobytes()) not in losses:
            losses[key] = _loss(model, images, findings, abnormal, counted, patches)
        own = {name: values[rows] for name, values in scores.items()}
        compares = bool(abnormal[rows].any() and not abnormal[rows].all())
        seen.append(
            Validation(
                loss=losses[key],
                scores=own,
                compares=compares,
                auroc=_auroc(own, abnormal[rows]) if compares else {},
                scorers=able,
            )
        )
    return seen


@torch.inference_mode()
def score(
    model: Any,
    recipes: Mapping[str, ScoreRecipe],
    images: torch.Tensor,
    healthy: torch.Tensor,
    patches: Patches | None,
) -> tuple[Findings, dict[str, Scorer], dict[str, ScoreArray]]:
    """Findings of all images, or of all their patches; scorers and images' scores by recipe."""
    findings = findings_of(model, cut(images, patches))
    if patches is not None:
        # As what ships: the recipe is followed on each patch, the image's score is of theirs.
        size = tuple(images.shape[2:])
        able = scorers(recipes, findings, None)
        found = {name: scorer(findings).score.cpu().numpy() for name, scorer in able.items()}
        scores = {name: image_scores(it, patches, size) for name, it in found.items()}
        return findings, able, scores
    able = scorers(recipes, findings, findings_of(model, healthy[:HEALTHY]))
    scores = {name: scorer(findings).score.cpu().numpy() for name, scorer in able.items()}
    return findings, able, scores


def _loss(
    model: Any,
    images: torch.Tensor,
    findings: Findings,
    abnormal: np.ndarray,
    rows: np.ndarray,
    patches: Patches | None,
) -> float:
    """Of the images at `rows`, or of some of their patches."""
    chosen = torch.from_numpy(rows)
    if isinstance(model, LabelledModel):
        truth = torch.from_numpy(abnormal[rows]).to(images.device)
        return float(model.loss_of(_at(findings, chosen), truth))
    with chance_aside(SEED):
        if patches is not None:
            some = evenly(cut(images[chosen], patches), at_once(patches.size))
            return float(model.training_loss(some).total)
        some = images[evenly(chosen, at_once(images.shape[2:]))]
        return float(model.training_loss(some).total)


def _at(findings: Findings, rows: torch.Tensor) -> Findings:
    """The findings of some of the images."""
    redrawn = findings.reconstruction
    return Findings(
        findings.evidence[rows],
        None if redrawn is None else redrawn[rows],
        {name: part[rows] for name, part in findings.parts.items()},
        None if findings.code is None else findings.code[rows],
    )


def _auroc(scores: Mapping[str, ScoreArray], abnormal: np.ndarray) -> dict[str, float]:
    # Of a fit that diverges, no number is any good: nothing is kept of such a look.
    able = {name: values for name, values in scores.items() if np.isfinite(values).all()}
    return {name: float(roc_auc_score(abnormal, values)) for name, values in able.items()}


@torch.inference_mode()
def findings_of(model: Any, images: torch.Tensor) -> Findings:
    """Findings of any number of images."""
    parts = [model.findings(batch) for batch in images.split(at_once(images.shape[2:]))]
    reconstructions = [part.reconstruction for part in parts]
    codes = [part.code for part in parts]
    return Findings(
        torch.cat([part.evidence for part in parts]),
        None if reconstructions[0] is None else torch.cat(reconstructions),
        {name: torch.cat([part.parts[name] for part in parts]) for name in parts[0].parts},
        None if codes[0] is None else torch.cat(codes),
    )


def as_tensor(
    images: ImageArray, intensity_range: tuple[float, float], device: torch.device
) -> torch.Tensor:
    """Prepared images as a model of that range takes them."""
    return to_range(torch.from_numpy(np.array(images)).to(device), intensity_range)
