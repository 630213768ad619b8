"""How well anomalies are located in test scans: voxels, lesions, slices, scans; all and by kind.

Scans stream by, and of each only numbers are kept (`export.located_scan`). A scan or slice is
abnormal here where the truth marks anything in it. What the numbers mean: docs/where.md.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn import metrics as exact

from export.located_scan import LocatedScan, Truth, locate
from export.scan_scores import ScoredScan
from export.where_config import WhereConfig, size_class, size_classes
from infer.manifest import Manifest
from train.metrics import PixelCounts, Weights, dice_of, merge_pixels, pixel_metrics

# Of voxels, and so of each group by itself as well: theirs and ours by name.
VOXEL_METRICS = {
    "pixel_ap": "voxel_ap",
    "pixel_auroc": "voxel_auroc",
    "dice": "dice",
    "best_dice": "oracle_dice",
}
# False-positive rates on validation normals at which Dice is given beside the shipped threshold.
RATES = {"at_1_percent": 0.01, "at_5_percent": 0.05}


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionLine:
    """One lesion of the truth."""

    scan: str
    kind: str
    voxels: int
    volume_ml: float | None
    size_class: str
    covered: float  # share of its voxels that the mask has
    found: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """What test scans say; a metric that does not exist is left out."""

    name: str
    map_thresholds: dict[str, float]
    metrics: dict[str, float]  # of all measured scans, and mean and std over groups
    kinds: dict[str, dict[str, float]]  # each kind's scans beside all normal ones
    groups: dict[str, dict[str, float]]  # of voxels
    sizes: dict[str, dict[str, float]]  # by size class
    lesions: tuple[LesionLine, ...]
    scans: tuple[LocatedScan, ...]


class Localiser:
    """Looks at test scans as they pass by."""

    def __init__(
        self, manifest: Manifest, map_thresholds: Mapping[str, float], config: WhereConfig
    ) -> None:
        self.manifest = manifest
        self.map_thresholds = dict(map_thresholds)
        self.config = config
        self.scans: list[LocatedScan] = []

    def add(self, scored: ScoredScan) -> None:
        """Measure one scan."""
        self.scans.append(locate(scored, self.manifest, self.map_thresholds))

    def of(self, scans: Iterable[ScoredScan]) -> Iterator[ScoredScan]:
        """The same scans, each measured before it is handed on."""
        for scored in scans:
            self.add(scored)
            yield scored

    def result(self) -> Where:
        """All that the scans so far say."""
        measured = [(it, it.truth) for it in self.scans if it.truth is not None]
        table = _Table.of(measured, self.config)
        lesions = tuple(_lesions(measured, self.config))
        groups = {name: table.voxels(weights) for name, weights in table.groups().items()}
        groups = {name: it for name, it in groups.items() if it}
        counts = {
            "scans_measured": len(measured),
            "scans_not_measured": len(self.scans) - len(measured),
            "groups_with_lesions": len(groups),
            "lesions": len(lesions),
        }
        everything = table.metrics(np.ones(len(measured)))
        return Where(
            name=self.manifest.method,
            map_thresholds={"shipped": self.manifest.map_threshold.value, **self.map_thresholds},
            metrics=everything | over_groups(list(groups.values())) | counts,
            kinds={name: table.metrics(weights) for name, weights in table.kinds().items()},
            groups=groups,
            sizes=_by_size(measured, lesions, self.config),
            lesions=lesions,
            scans=tuple(self.scans),
        )


def over_groups(groups: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean over groups, and their standard deviation (0 of one), of every metric that all have."""
    found = {}
    for name in groups[0] if groups else ():
        values = [it[name] for it in groups]
        found[f"{name}_mean"] = float(np.mean(values))
        found[f"{name}_std"] = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Measured scans as arrays `(scan, …)`; every metric is one of how often each counts."""

    group: np.ndarray
    kind: np.ndarray
    score: np.ndarray
    abnormal: np.ndarray
    mask_empty: np.ndarray
    peak_inside: np.ndarray
    lesions: np.ndarray
    found: np.ndarray
    false: np.ndarray
    at_rates: dict[str, np.ndarray]  # confusions
    counts: PixelCounts | None
    slice_scan: np.ndarray  # (slice,): the place of its scan
    slice_scores: np.ndarray
    slice_peaks: np.ndarray
    slice_abnormal: np.ndarray
    slice_empty: np.ndarray

    @classmethod
    def of(cls, scans: Sequence[tuple[LocatedScan, Truth]], config: WhereConfig) -> "_Table":
        truths = [truth for _, truth in scans]
        share = config.lesion_found_share
        return cls(
            group=np.array([it.group for it, _ in scans], str),
            kind=np.array([it.kind if truth.abnormal else "" for it, truth in scans], str),
            score=np.array([it.score for it, _ in scans]),
            abnormal=np.array([it.abnormal for it in truths], bool),
            mask_empty=np.array([it.mask_empty for it, _ in scans], bool),
            peak_inside=np.array([it.peak_inside for it in truths], bool),
            lesions=np.array([len(it.matched.lesions) for it in truths]),
            found=np.array(
                [sum(_is_found(*lesion, share) for lesion in it.matched.lesions) for it in truths]
            ),
            false=np.array([len(it.matched.false) for it in truths]),
            at_rates={
                name: np.array([it.at_rates[name] for it in truths])
                for name in (truths[0].at_rates if truths else ())
            },
            counts=merge_pixels([it.pixels for it in truths]) if truths else None,
            slice_scan=np.repeat(np.arange(len(truths)), [len(it.slice_scores) for it in truths]),
            slice_scores=_joined([it.slice_scores for it in truths]),
            slice_peaks=_joined([it.slice_peaks for it in truths]),
            slice_abnormal=_joined([it.slice_abnormal for it in truths]).astype(bool),
            slice_empty=_joined([it.slice_empty for it in truths]).astype(bool),
        )

    def groups(self) -> dict[str, Weights]:
        """Which scans each group has."""
        return {str(it): (self.group == it).astype(float) for it in np.unique(self.group)}

    def kinds(self) -> dict[str, Weights]:
        """Which scans each kind of abnormality has, all normal ones added."""
        return {
            str(it): ((self.kind == it) | ~self.abnormal).astype(float)
            for it in np.unique(self.kind)
            if it
        }

    def metrics(self, weights: Weights) -> dict[str, float]:
        """All metrics of scans that count so often."""
        of_slice = weights[self.slice_scan]
        return {
            **self.voxels(weights),
            **self._of_lesions(weights),
            **_ranking("slice", self.slice_scores, self.slice_abnormal, of_slice),
            **_ranking("slice_peak", self.slice_peaks, self.slice_abnormal, of_slice),
            **_ranking("scan", self.score, self.abnormal, weights),
            **_emptiness("scans", self.mask_empty, self.abnormal, weights),
            **_emptiness("slices", self.slice_empty, self.slice_abnormal, of_slice),
        }

    def voxels(self, weights: Weights) -> dict[str, float]:
        """Those of `VOXEL_METRICS`, Dice at further thresholds; {} where nothing is abnormal."""
        known = {} if self.counts is None else pixel_metrics(self.counts, weights)
        if not known:
            return {}
        at_rates = {f"dice_{name}": dice_of(weights @ it) for name, it in self.at_rates.items()}
        return {ours: known[theirs] for theirs, ours in VOXEL_METRICS.items()} | at_rates

    def _of_lesions(self, weights: Weights) -> dict[str, float]:
        found = {}
        if weights.any():
            found["false_lesions_per_scan"] = float(weights @ self.false / weights.sum())
        if lesions := float(weights @ self.lesions):
            found["lesion_sensitivity"] = float(weights @ self.found) / lesions
        if abnormal := float(weights @ self.abnormal):
            found["peak_hit_rate"] = float(weights @ (self.peak_inside & self.abnormal)) / abnormal
        return found


def _ranking(
    what: str, scores: np.ndarray, abnormal: np.ndarray, weights: Weights
) -> dict[str, float]:
    if not (weights @ abnormal and weights @ ~abnormal):
        return {}
    how = {"sample_weight": weights}
    return {
        f"{what}_auroc": float(exact.roc_auc_score(abnormal, scores, **how)),
        f"{what}_ap": float(exact.average_precision_score(abnormal, scores, **how)),
    }


def _emptiness(
    what: str, empty: np.ndarray, abnormal: np.ndarray, weights: Weights
) -> dict[str, float]:
    """How far an empty mask can be trusted to mean healthy."""
    found = {}
    if all_empty := float(weights @ empty):
        found[f"empty_is_right_{what}"] = float(weights @ (empty & ~abnormal)) / all_empty
    if healthy := float(weights @ ~abnormal):
        found[f"healthy_is_empty_{what}"] = float(weights @ (empty & ~abnormal)) / healthy
    if ill := float(weights @ abnormal):
        found[f"abnormal_is_not_empty_{what}"] = float(weights @ (~empty & abnormal)) / ill
    return found


def _is_found(voxels: int, covered: int, share: float) -> bool:
    return covered > 0 and covered >= share * voxels


def _joined(arrays: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0), *arrays])


def _lesions(
    scans: Sequence[tuple[LocatedScan, Truth]], config: WhereConfig
) -> Iterator[LesionLine]:
    for scan, truth in scans:
        for voxels, covered in truth.matched.lesions:
            yield LesionLine(
                scan=scan.scan,
                kind=scan.kind,
                voxels=voxels,
                volume_ml=None if scan.voxel_ml is None else voxels * scan.voxel_ml,
                size_class=size_class(voxels, scan.voxel_ml, config),
                covered=covered / voxels,
                found=_is_found(voxels, covered, config.lesion_found_share),
            )


def _by_size(
    scans: Sequence[tuple[LocatedScan, Truth]],
    lesions: Sequence[LesionLine],
    config: WhereConfig,
) -> dict[str, dict[str, float]]:
    """Sensitivity by the size of lesions, where there are any; false ones per scan by their own."""
    false = [
        size_class(voxels, scan.voxel_ml, config)
        for scan, truth in scans
        for voxels in truth.matched.false
    ]
    ordered = size_classes(config, {"px" if it.voxel_ml is None else "ml" for it, _ in scans})
    table = {}
    for name in ordered:
        found = [it.found for it in lesions if it.size_class == name]
        row: dict[str, float] = {"lesions": len(found)}
        if found:
            row["lesion_sensitivity"] = float(np.mean(found))
        row["false_lesions_per_scan"] = false.count(name) / max(1, len(scans))
        table[name] = row
    return table
