"""How far mere brightness gets in telling slices with planted anomalies from healthy ones.

python -m benchmarks.artificial_baselines [--source data/raw/healthy_t1] [--trained 30]
    [--contrast 1.5 2] [--least-change 0.4] [--seed 1] [--name artificial_baselines]

The children are dealt by a hash of their names: the first `--trained` give the mean image, into the
scans of the others is planted. A slice is abnormal where the mask reaches it; normal are the slices
of the healthy scans. Area under the ROC curve slice by slice, over all kinds and for each kind and
size by itself; no trivial score may exceed 0.75 over all kinds, or the anomalies are too easy to
say anything of a model. AUROC below a half counts as what the opposite score would reach.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.machine import keep
from export.baselines import BOX_PX, SMALLEST_STD, baselines
from infer.images import images_of
from infer.intensity import Intensity
from infer.preprocessing import UNPROCESSED
from infer.readers import read
from infer.volume import Volume
from train.datasets.anomalies import KINDS
from train.datasets.planting import PlantingConfig, healthy, plant

MOST = 0.75
SIZES_MM = ((0.0, 6.0), (6.0, 10.0), (10.0, np.inf))
IMAGE_SIZE = (192, 224)
INTENSITY = Intensity(recipe="percentile", low=0, high=100, output_low=0, output_high=1)
PLANTING = PlantingConfig(
    kinds=tuple(KINDS),
    per_scan=len(KINDS),
    radii_mm=(3.0, 15.0),
    contrast=(1.5, 2.0),
    least_change=0.4,
    edge=0.4,
    foreground="body",
    margin_mm=10.0,
    pixel_mm=None,
    seed=1,
)

Score = Callable[[np.ndarray], dict[str, np.ndarray]]  # images → every score by its name


class Slices(NamedTuple):
    """Scores `(slice,)` of some slices, and what is in them."""

    scores: dict[str, np.ndarray]
    kind: str  # empty: healthy
    size_mm: float


def main(arguments: Sequence[str]) -> None:
    """Measure, print the tables and keep them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.artificial_baselines")
    parser.add_argument("--source", type=Path, default=Path("data/raw/healthy_t1"))
    parser.add_argument("--trained", type=int, default=30, help="children of the mean image")
    parser.add_argument("--contrast", type=float, nargs=2, default=PLANTING.contrast)
    parser.add_argument("--least-change", type=float, default=PLANTING.least_change)
    parser.add_argument("--seed", type=int, default=PLANTING.seed)
    parser.add_argument("--name", default="artificial_baselines", help="of the JSON")
    chosen = parser.parse_args(arguments)
    planting = replace(
        PLANTING,
        contrast=tuple(chosen.contrast),
        least_change=chosen.least_change,
        seed=chosen.seed,
    )
    trained, tested = dealt(chosen.source, chosen.trained)
    score = scorer(np.concatenate([images(read(scan)) for scan in trained]))
    found = [it for scan in tested for it in slices_of(scan, score, planting)]
    tables = {
        "over all": {"all kinds": aurocs(found, found)},
        "by kind": {kind: aurocs(found, [it for it in found if it.kind == kind]) for kind in KINDS},
        "by size": {
            f"{low:g} to {high:g} mm": aurocs(
                found, [it for it in found if low <= it.size_mm < high]
            )
            for low, high in SIZES_MM
        },
    }
    for title, rows in tables.items():
        print(f"\n{title}\n{in_lines(rows)}")
    worst = max(tables["over all"]["all kinds"].values())
    print(f"\nbest trivial score over all kinds: {worst:.3f} (at most {MOST} is wanted)")
    result = {"of": described(trained, tested, found, planting), "slice_auroc": tables}
    print(f"kept in {keep(chosen.name, result)}")
    sys.exit(worst > MOST)


def dealt(source: Path, trained: int) -> tuple[list[Path], list[Path]]:
    """Scans of the children that are trained on, and of the others."""
    with (source / "scans.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    children = sorted(
        {line["patient"] for line in lines}, key=lambda it: hashlib.sha256(it.encode()).hexdigest()
    )
    first = set(children[:trained])
    sides: tuple[list[Path], list[Path]] = ([], [])
    for line in lines:
        sides[line["patient"] not in first].append(source / line["scan"])
    return sides


def images(volume: Volume) -> np.ndarray:
    """What a network would see."""
    return images_of(
        volume,
        channels=1,
        intensity=INTENSITY,
        preprocessing=UNPROCESSED,
        plane="axial",
        image_size=IMAGE_SIZE,
    )


def scorer(training: np.ndarray) -> Score:
    """Every trivial score by its name: the report's own, and further ones."""
    engines = baselines(training)
    mean, std = training.mean(axis=0), np.maximum(training.std(axis=0), SMALLEST_STD)
    tissue = mean[0] > 0.5 * mean.max()
    bright, dark = np.quantile(training[:, 0][:, tissue], (0.98, 0.02))

    def score(seen: np.ndarray) -> dict[str, np.ndarray]:
        grey, away = seen[:, 0], (np.abs(seen - mean) / std)[:, 0]
        return {
            **{engine.name: engine.run(seen).score for engine in engines},
            "mean": grey.mean(axis=(1, 2)),
            "share_bright": (grey[:, tissue] > bright).mean(axis=1),
            "share_dark": (grey[:, tissue] < dark).mean(axis=1),
            f"darkest_{BOX_PX}x{BOX_PX}": -boxes(grey)[:, tissue].min(axis=1),
            "distance_to_mean": np.sqrt(((seen - mean) ** 2).mean(axis=(1, 2, 3))),
            "z_maximum": away.max(axis=(1, 2)),
            "z_strongest_1_percent": np.quantile(away, 0.99, axis=(1, 2)),
            f"z_strongest_{BOX_PX}x{BOX_PX}": boxes(away).max(axis=(1, 2)),
        }

    return score


def boxes(pictures: np.ndarray) -> np.ndarray:
    """Means over squares."""
    return np.stack([cv2.blur(np.asarray(it, np.float32), (BOX_PX, BOX_PX)) for it in pictures])


def slices_of(scan: Path, score: Score, planting: PlantingConfig) -> list[Slices]:
    """A healthy scan and its copies; of a copy, the slices that the anomaly reaches."""
    volume = read(scan)
    known = healthy(volume, volume.spacing_mm or (), planting)
    found = [Slices(score(images(volume)), "", 0.0)]
    for number in range(planting.per_scan):
        planted = plant(known, number, planting)
        if planted is None:
            continue
        copy = Volume(
            voxels=planted.voxels, unit=volume.unit, spacing_mm=volume.spacing_mm, grid=volume.grid
        )
        reached = planted.mask.any(axis=(1, 2))
        found.append(Slices(score(images(copy)[reached]), planted.kind, planted.size_mm))
    return found


def aurocs(found: Sequence[Slices], asked: Sequence[Slices]) -> dict[str, float]:
    """Of each score, healthy slices against the abnormal ones that are asked for."""
    used = [*(it for it in found if not it.kind), *(it for it in asked if it.kind)]
    abnormal = np.concatenate([np.full(len(it.scores["mean"]), bool(it.kind), bool) for it in used])
    areas = {
        name: float(roc_auc_score(abnormal, np.concatenate([it.scores[name] for it in used])))
        for name in used[0].scores
    }
    return {name: round(max(area, 1 - area), 3) for name, area in areas.items()}


def in_lines(rows: Mapping[str, Mapping[str, float]]) -> str:
    """A line for each score, a column for each of `rows`."""
    names = list(next(iter(rows.values())))
    wide = max(map(len, names))
    columns = [max(7, len(it)) + 1 for it in rows]
    head = " " * wide + "".join(f"{it:>{by}}" for it, by in zip(rows, columns, strict=True))
    return "\n".join(
        [
            head,
            *(
                f"{name:<{wide}}"
                + "".join(
                    f"{row[name]:>{by}.3f}" for row, by in zip(rows.values(), columns, strict=True)
                )
                for name in names
            ),
        ]
    )


def described(
    trained: Sequence[Path],
    tested: Sequence[Path],
    found: Sequence[Slices],
    planting: PlantingConfig,
) -> dict[str, Any]:
    """What was measured on."""
    count = {bool(kind): 0 for kind in ("", "any")}
    for it in found:
        count[bool(it.kind)] += len(it.scores["mean"])
    return {
        "scans_trained": len(trained),
        "scans_planted": len(tested),
        "copies": sum(bool(it.kind) for it in found),
        "slices_healthy": count[False],
        "slices_abnormal": count[True],
        "image_size": list(IMAGE_SIZE),
        "radii_mm": list(planting.radii_mm),
        "contrast": list(planting.contrast),
        "least_change": planting.least_change,
        "edge": planting.edge,
        "margin_mm": planting.margin_mm,
        "seed": planting.seed,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
