"""Scored test scans → metrics with intervals, a table of scans, and panels; to disk and back."""

import csv
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from export.panels import Panel, Panels, panel_of, stack, unit_range
from export.scan_scores import ScoredScan, is_anomalous
from infer.manifest import Manifest
from infer.scoring import normal_percentile
from infer.writers.atomic import write_bytes
from train.metrics import (
    Bootstrap,
    Interval,
    ScanPixels,
    Weights,
    bootstrap,
    count_pixels,
    image_metrics,
    merge_pixels,
    pixel_metrics,
)

MODEL = "model.json"  # what of the model file is to be known beside the numbers
OF_THE_FILE = ("model_sha256", "anomalous_by")
DIGITS = 6  # of what is written: beyond, only rounding differs from run to run


class ScanRow(NamedTuple):
    """One line of scores.csv."""

    scan: str
    group: str
    label: str
    score: float
    anomalous: bool
    normal_percentile: float
    lesions: int
    mask_px: int
    truth_px: int | None  # None: not known
    overlap_px: int | None
    psnr_db: float | None  # of the reconstruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the test scans say of one model or baseline."""

    name: str
    rows: list[ScanRow]
    metrics: dict[str, Interval]
    score_threshold: float
    map_threshold: float
    panels: Panels
    model_sha256: str = ""  # of the file that was measured; empty: a baseline, or not known
    anomalous_by: str = "score"  # or mask: then the score's threshold decided nothing

    @property
    def scores(self) -> np.ndarray:
        return np.array([row.score for row in self.rows])

    @property
    def abnormal(self) -> np.ndarray:
        return np.array([row.label == "abnormal" for row in self.rows], bool)


def evaluate(scored: Iterable[ScoredScan], manifest: Manifest, config: Bootstrap) -> Evaluation:
    """Measure what was found in test scans at the shipped thresholds."""
    rows: list[ScanRow] = []
    panels: list[Panel] = []
    pixels: list[ScanPixels | None] = []
    for scan in scored:
        rows.append(_row(scan, manifest))
        panels.append(panel_of(scan, manifest))
        pixels.append(_pixels(scan))
    return Evaluation(
        name=manifest.method,
        rows=rows,
        metrics=_metrics(rows, pixels, config),
        score_threshold=manifest.score_threshold.value,
        map_threshold=manifest.map_threshold.value,
        panels=stack(panels),
        anomalous_by=manifest.anomalous_by,
    )


def _pixels(scored: ScoredScan) -> ScanPixels | None:
    finding, truth = scored.finding, scored.truth
    return None if truth is None else count_pixels(finding.anomaly_map, finding.mask, truth)


def _row(scored: ScoredScan, manifest: Manifest) -> ScanRow:
    finding, truth = scored.finding, scored.truth
    return ScanRow(
        scan=scored.case.scan.as_posix(),
        group=scored.case.group,
        label="normal" if scored.case.normal else "abnormal",
        score=finding.score,
        anomalous=is_anomalous(finding, manifest),
        normal_percentile=normal_percentile(finding.score, manifest.normals.scores),
        lesions=finding.lesions,
        mask_px=int(finding.mask.sum()),
        truth_px=None if truth is None else int(truth.sum()),
        overlap_px=None if truth is None else int((finding.mask & truth).sum()),
        psnr_db=_psnr_db(scored, manifest),
    )


def _psnr_db(scored: ScoredScan, manifest: Manifest) -> float | None:
    """Of all a scan's images together; its range is that of the intensities."""
    finding = scored.finding
    if finding.reconstruction is None:
        return None
    images = unit_range(finding.images, manifest).reshape(len(finding.images), -1)
    redrawn = unit_range(finding.reconstruction, manifest).reshape(images.shape)
    return float(cv2.PSNR(images, redrawn, R=1.0))


def _metrics(
    rows: list[ScanRow], pixels: list[ScanPixels | None], config: Bootstrap
) -> dict[str, Interval]:
    groups = [row.group for row in rows]
    scores = np.array([row.score for row in rows])
    anomalous = np.array([row.anomalous for row in rows])
    abnormal = np.array([row.label == "abnormal" for row in rows], bool)
    known = [at for at, it in enumerate(pixels) if it is not None]
    counts = merge_pixels([it for it in pixels if it is not None]) if known else None

    def measure(weights: Weights | None) -> dict[str, float]:
        found = image_metrics(scores, anomalous, abnormal, weights)
        if counts is not None:
            found |= pixel_metrics(counts, None if weights is None else weights[known])
        return found | _mean_psnr(rows, weights)

    return bootstrap(measure, groups, config)


def _mean_psnr(rows: list[ScanRow], weights: Weights | None) -> dict[str, float]:
    """Over normal scans: redrawing a lesion well is no merit."""
    count = np.ones(len(rows)) if weights is None else weights
    normal = [at for at, row in enumerate(rows) if row.label == "normal" and row.psnr_db]
    if not normal or not count[normal].any():
        return {}
    return {
        "psnr": float(np.average([rows[at].psnr_db or 0.0 for at in normal], weights=count[normal]))
    }


def save(folder: Path, metrics_path: Path, evaluation: Evaluation) -> None:
    """Write scores.csv, panels.npz, model.json and the curves into `folder`, the metrics beside it.

    These come last, and those of an earlier model go first: where they are, all is of one model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics_path.unlink(missing_ok=True)
    _write_csv(folder / "scores.csv", ScanRow._fields, (_cells(it) for it in evaluation.rows))
    said = {it: getattr(evaluation, it) for it in OF_THE_FILE}
    (folder / MODEL).write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    panels = evaluation.panels
    np.savez_compressed(folder / "panels.npz", **{it: getattr(panels, it) for it in Panel._fields})
    for name, (columns, lines) in _curves(evaluation).items():
        _write_csv(metrics_path.with_name(f"{metrics_path.stem}_{name}.csv"), columns, lines)
    write_bytes(metrics_path, (json.dumps(flat(evaluation), indent=2) + "\n").encode())


def load(folder: Path, metrics_path: Path) -> Evaluation:
    """What `save` wrote."""
    metrics = json.loads(metrics_path.read_text(encoding="utf-8"))
    with np.load(folder / "panels.npz") as stored:
        panels = Panels(**{name: stored[name] for name in Panel._fields})
    with (folder / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = [_scan_row(line) for line in csv.DictReader(file)]
    names = [name for name in metrics if f"{name}_low" in metrics]
    about = folder / MODEL
    said = json.loads(about.read_text(encoding="utf-8")) if about.exists() else {}
    return Evaluation(
        name=folder.name,
        rows=rows,
        metrics={
            it: Interval(value=metrics[it], low=metrics[f"{it}_low"], high=metrics[f"{it}_high"])
            for it in names
        },
        score_threshold=metrics["score_threshold"],
        map_threshold=metrics["map_threshold"],
        panels=panels,
        **{name: said[name] for name in OF_THE_FILE if name in said},
    )


def tested_file(folder: Path) -> str:
    """SHA-256 of the model file that `save` wrote of into `folder`; "" if that is not known."""
    about = folder / MODEL
    if not about.exists():
        return ""
    return str(json.loads(about.read_text(encoding="utf-8")).get("model_sha256", ""))


def flat(evaluation: Evaluation) -> dict[str, float]:
    """Metrics as DVC and MLflow list them: name → number, its interval as _low and _high."""
    numbers: dict[str, float] = {}
    for name, it in evaluation.metrics.items():
        numbers |= {name: it.value, f"{name}_low": it.low, f"{name}_high": it.high}
    numbers |= {
        "score_threshold": evaluation.score_threshold,
        "map_threshold": evaluation.map_threshold,
        "scans_normal": int((~evaluation.abnormal).sum()),
        "scans_abnormal": int(evaluation.abnormal.sum()),
    }
    return {name: rounded(value) for name, value in numbers.items()}


def rounded(value: float) -> float:
    """To as many significant digits as are written; counts stay whole."""
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def _curves(evaluation: Evaluation) -> dict[str, tuple[tuple[str, str], list[tuple[float, ...]]]]:
    """Columns and lines by name; no lines where the test scans are of one class."""
    scores, abnormal = evaluation.scores, evaluation.abnormal
    roc: list[tuple[float, ...]] = []
    precision_recall: list[tuple[float, ...]] = []
    if abnormal.any() and not abnormal.all():
        false_positive, true_positive, _ = roc_curve(abnormal, scores)
        roc = _rounded(false_positive, true_positive)
        precision, recall, _ = precision_recall_curve(abnormal, scores)
        precision_recall = _rounded(recall, precision)
    return {
        "roc": (("false_positive_rate", "true_positive_rate"), roc),
        "precision_recall": (("recall", "precision"), precision_recall),
    }


def _rounded(*columns: np.ndarray) -> list[tuple[float, ...]]:
    return [tuple(round(float(it), DIGITS) for it in line) for line in zip(*columns, strict=True)]


def _cells(row: ScanRow) -> list[str]:
    return [
        "" if it is None else f"{it:.{DIGITS}g}" if isinstance(it, float) else str(it) for it in row
    ]


def _scan_row(line: dict[str, str]) -> ScanRow:
    return ScanRow(
        scan=line["scan"],
        group=line["group"],
        label=line["label"],
        score=float(line["score"]),
        anomalous=line["anomalous"] == "True",
        normal_percentile=float(line["normal_percentile"]),
        lesions=int(line["lesions"]),
        mask_px=int(line["mask_px"]),
        truth_px=int(line["truth_px"]) if line["truth_px"] else None,
        overlap_px=int(line["overlap_px"]) if line["overlap_px"] else None,
        psnr_db=float(line["psnr_db"]) if line["psnr_db"] else None,
    )


def _write_csv(path: Path, columns: Iterable[str], lines: Iterable[Iterable[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(lines)
