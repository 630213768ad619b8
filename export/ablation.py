"""What each step of postprocessing adds: cumulative, every step with a threshold of its own.

Thresholds are chosen on validation normals at `RATE`, on the map as it is after the steps so far;
that of a network's own odds is the same at every step.
The engine runs once for each scan. The foreground is kept in every row: it is what rates are
counted in. Steps that are off are left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from export.localisation import Localiser
from export.scan_scores import ScoredScan
from export.where_config import WhereConfig
from infer.manifest import Manifest
from infer.masking import Postprocessing

RATE = 0.01  # of false positives on the voxels of validation normals
METRICS = (
    "voxel_ap",
    "voxel_auroc",
    "dice",
    "dice_mean",
    "dice_std",
    "oracle_dice",
    "lesion_sensitivity",
    "false_lesions_per_scan",
    "peak_hit_rate",
    "healthy_is_empty_slices",
)


class StepRow(NamedTuple):
    """One line of the table."""

    step: str
    map_threshold: float
    metrics: dict[str, float]


def steps_of(full: Postprocessing) -> dict[str, Postprocessing]:
    """Postprocessing after each step that is on, by its name, the bare map first."""
    bare = replace(
        full, median="none", gaussian="none", erosion_radius_px=0, prior="none",
        closing_radius_px=0, smallest_lesion_px=0,
    )  # fmt: skip
    prior = {f"prior {full.prior} {full.prior_share:g}": {"prior": full.prior}}
    on: dict[str, Mapping[str, object]] = {
        **(prior if full.prior_first else {}),
        f"median of {full.median} {full.median_px}": {"median": full.median},
        f"gaussian of {full.gaussian} {full.gaussian_px:g}": {"gaussian": full.gaussian},
        f"erosion {full.erosion_radius_px}": {"erosion_radius_px": full.erosion_radius_px},
        **({} if full.prior_first else prior),
        f"closing {full.closing_radius_px}": {"closing_radius_px": full.closing_radius_px},
        f"smallest lesion {full.smallest_lesion_px}": {
            "smallest_lesion_px": full.smallest_lesion_px
        },
    }
    steps = {"none": bare}
    for name, change in on.items():
        before = list(steps.values())[-1]
        after = replace(before, **change)  # type: ignore[arg-type]
        if after != before:
            steps[name] = after
    return steps


def manifests_of(manifest: Manifest) -> dict[str, Manifest]:
    """The manifest after each step, thresholds as they are."""
    return {
        name: replace(manifest, postprocessing=step)
        for name, step in steps_of(manifest.postprocessing).items()
    }


class Ablation:
    """Looks at test scans under every step as they pass by."""

    def __init__(self, steps: Mapping[str, Manifest], config: WhereConfig) -> None:
        self.localisers = {name: Localiser(it, {}, config) for name, it in steps.items()}

    def of(self, scans: Iterable[Sequence[ScoredScan]]) -> Iterator[ScoredScan]:
        """Of each scan, found under every step and then as it ships, the last."""
        for *under, shipped in scans:
            for localiser, scored in zip(self.localisers.values(), under, strict=True):
                localiser.add(scored)
            yield shipped

    def table(self) -> list[StepRow]:
        """All steps in their order."""
        rows = []
        for name, localiser in self.localisers.items():
            metrics = localiser.result().metrics
            known = {it: metrics[it] for it in METRICS if it in metrics}
            rows.append(StepRow(name, localiser.manifest.map_threshold.value, known))
        return rows
