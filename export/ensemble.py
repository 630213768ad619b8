"""Several fitted models as one graph: what they say together, each in its own normals' units.

A member's score is worth nothing beside another's until both are in one unit. The unit comes from
validation normals, and there may be as few as 20 of them:

- Score: less the normals' median, divided by half the distance between their 16th and 84th
  percentiles (one standard deviation, if they are normally distributed). Not their mean and
  standard deviation: one odd normal in 20 (6 σ away) makes that 1.7 times as large and so all but
  silences its member; of this one it takes four on one side. Not quartiles or the median deviation:
  of 20 normals they are known to 25 %, this to 22 %. Then z becomes z / (1 + |z| / 2), which never
  exceeds ±2: otherwise the member with the longest tail decides alone. Not ranks, which end at the
  highest normal: an ensemble of one must rank scans as its member does.
- Map: divided by what one pixel in a hundred of a normal image lies above, median over the normals.
  Nothing is subtracted, since 0 is as expected in every map; and most pixels of a map of one
  polarity are 0, so that no quantile near their middle measures anything.

Tried on validation alone, head CT, first fold, six quick fits, in units of ten normals, measured on
the ten others and the abnormals; mean AUROC over all ensembles of 2, 3, 4 and 6: mean and standard
deviation 0.892, 0.895, 0.914, 0.907; median and percentiles 0.900, 0.901, 0.921, 0.909; limited as
well 0.905, 0.916, 0.933, 0.938; ranks 0.899, 0.912, 0.933, 0.941. In a cross validation those
abnormals are test images of the other half: of the results, this one choice has seen them.

The ensemble's score and map are the members' means in these units, so that the map threshold lies
near 1. Everything is a constant of the graph: no member is weighted by abnormal images.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from export.calibration import CalibrationError
from export.fitted import Fitted
from export.graph import Graph
from infer.shapes import Images as ImageArray
from infer.shapes import Maps as MapArray
from infer.shapes import Scores as ScoreArray
from train.batches import at_once, to_range
from train.shapes import Images, Maps, Scores

INTENSITY_RANGE = (0.0, 1.0)  # what an ensemble takes: images as they are prepared
ONE_SIGMA = (0.1587, 0.8413)  # shares of a normal distribution below −1 σ and +1 σ
PIXELS_BELOW = 0.99
LARGEST_SCORE = 2.0  # what no member's score exceeds, however far from its normals
SMALLEST_UNIT = 1e-12  # below, a score or map is constant, and any unit does


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """What a member says of validation normals: the scale its scores and maps are read on."""

    score_middle: float
    score_spread: float
    map_unit: float


class Said(NamedTuple):
    """What a member says of images, in its normals' units."""

    anomaly_map: Maps
    score: Scores
    reconstruction: Images | None  # as prepared images


class Member(nn.Module):
    """One fitted model that takes prepared images, and the units to read it in."""

    def __init__(self, fitted: Fitted, units: Units) -> None:
        super().__init__()
        self.graph = fitted.graph
        self.intensity_range = fitted.intensity_range
        self.scale = fitted.scale
        self.units = units

    def forward(self, image: Images) -> Said:
        """What the model says of these images in its own range and scale."""
        taken = self.scale.standardised(to_range(image, self.intensity_range))
        found = self.graph.outputs(taken)
        redrawn = found.get("reconstruction")
        return Said(
            found["anomaly_map"] / self.units.map_unit,
            _limited((found["score"] - self.units.score_middle) / self.units.score_spread),
            None if redrawn is None else self._prepared(redrawn),
        )

    def _prepared(self, images: Images) -> Images:
        """Images as the model draws them, in [0, 1] again."""
        low, high = self.intensity_range
        return (self.scale.undone(images) - low) / (high - low)


class Ensemble(Graph):
    """The mean of its members; each one's own score is the part of its name."""

    def __init__(self, members: Mapping[str, Member]) -> None:
        super().__init__()
        self.names = tuple(members)
        self.members = nn.ModuleList(members.values())
        # Before the limit, which only makes differences smaller.
        zeros = [-it.units.score_middle / it.units.score_spread for it in members.values()]
        self.score_zero = sum(zeros) / len(zeros)
        self.eval()  # a fresh wrapper is in training mode, whatever mode its children are in

    def outputs(self, image: Images) -> dict[str, Tensor]:
        """Means over the members; a reconstruction where any member has one."""
        said: list[Said] = [member(image) for member in self.members]
        redrawn = [it.reconstruction for it in said if it.reconstruction is not None]
        parts = {f"score_{name}": it.score for name, it in zip(self.names, said, strict=True)}
        return {
            "anomaly_map": _mean([it.anomaly_map for it in said]),
            "score": _mean([it.score for it in said]),
            **({"reconstruction": _mean(redrawn)} if redrawn else {}),
            **dict(sorted(parts.items())),
        }


def ensemble_of(members: Mapping[str, Fitted], images: ImageArray) -> Ensemble:
    """The graph of several fitted models, in units of these prepared validation normals.

    Raises:
        CalibrationError: there is no image to measure the members on.
    """
    if not len(images):
        raise CalibrationError(
            "no validation image is normal: the members of an ensemble cannot be compared",
            hint="the study's split leaves none; lower split.normal_folds or add normal scans",
        )
    return Ensemble(
        {name: Member(fitted, units_of(*_say(fitted, images))) for name, fitted in members.items()}
    )


def units_of(anomaly_maps: MapArray, scores: ScoreArray) -> Units:
    """The units of what a model says of normal images."""
    scores = scores.astype(np.float64)
    low, high = np.quantile(scores, ONE_SIGMA)
    highest = np.quantile(anomaly_maps.reshape(len(anomaly_maps), -1), PIXELS_BELOW, axis=1)
    return Units(
        score_middle=float(np.median(scores)),
        score_spread=_unit((high - low) / 2, scores.std()),
        map_unit=_unit(np.median(highest), highest.max(), anomaly_maps.max()),
    )


def score_in_words(members: Mapping[str, Fitted]) -> str:
    """How an ensemble scores, and each member in it: one line for each."""
    lines = [
        "mean of the members' scores (limited) and maps, each in units of its validation normals",
        *(f"{name}: {fitted.score_recipe}" for name, fitted in members.items()),
    ]
    return "\n".join(lines)


@torch.no_grad()
def _say(fitted: Fitted, images: ImageArray) -> tuple[MapArray, ScoreArray]:
    """A model's maps and scores of prepared images."""
    ranged = to_range(torch.from_numpy(images), fitted.intensity_range)
    batches = fitted.scale.standardised(ranged).split(at_once(images.shape[2:]))
    found = [fitted.graph.outputs(batch) for batch in batches]
    anomaly_maps = torch.cat([it["anomaly_map"] for it in found])
    return anomaly_maps.numpy(), torch.cat([it["score"] for it in found]).numpy()


def _unit(*candidates: float | np.floating) -> float:
    """The first that can divide; 1 where nothing varies."""
    return next((float(it) for it in candidates if it > SMALLEST_UNIT), 1.0)


def _limited(scores: Scores) -> Scores:
    """In the same order, slope 1 at 0, never beyond `LARGEST_SCORE`."""
    return scores / (1 + scores.abs() / LARGEST_SCORE)


def _mean(tensors: list[Tensor]) -> Tensor:
    return torch.stack(tensors).mean(dim=0)
