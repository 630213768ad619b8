"""What one fold of one method gave: a small JSON, all that tables and curves are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infer.writers.atomic import write_bytes
from train.metrics import image_metrics
from train.protocol import Protocol

SCHEMA = 1
DIGITS = 6  # of what is written: beyond, only rounding differs from run to run


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """One test scan under one protocol."""

    scan: str
    group: str  # near-duplicates share it, under either grouping
    abnormal: bool
    score: float
    anomalous: bool  # at the shipped threshold
    psnr: float | None  # dB; of normal scans, where the method has a reconstruction
    ssim: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HalfResult:
    """The test of one half of the abnormals with the test normals of the fold."""

    protocol: Protocol
    half: int  # the test's
    recipe: str  # shipped; empty: a baseline
    record: int | None  # of the checkpoint; None: nothing was fitted
    validation_auroc: float | None
    score_threshold: float
    chosen_by: str  # the threshold
    scans: tuple[ScanResult, ...]
    other_scores: dict[str, tuple[float, ...]]  # by score recipe, of the same scans in order

    @property
    def abnormal(self) -> np.ndarray:
        return np.array([it.abnormal for it in self.scans], bool)

    @property
    def scores(self) -> np.ndarray:
        return np.array([it.score for it in self.scans])

    @property
    def anomalous(self) -> np.ndarray:
        return np.array([it.anomalous for it in self.scans], bool)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(it.group for it in self.scans)

    def metrics(self) -> dict[str, float]:
        """Of the shipped recipe at the shipped threshold; reconstructions of normal scans."""
        found = image_metrics(self.scores, self.anomalous, self.abnormal)
        for name in ("psnr", "ssim"):
            values = [getattr(it, name) for it in self.scans if getattr(it, name) is not None]
            if values:
                found[name] = float(np.mean(values))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldResult:
    """One fit, or baseline or ensemble, and its tests under all protocols."""

    schema: int
    study: str
    method: str
    trivial: bool  # a baseline
    grouped: bool
    fold: int
    fingerprint: str  # equal where numbers, data and division are equal
    fit_seconds: float | None
    history: dict[str, tuple[tuple[int, float], ...]]  # curve → (record, value), thinned
    tests: tuple[HalfResult, ...]
    provenance: dict[str, Any]  # commit, dirty, data_hash, run_id, versions, machine


def save(path: Path, result: FoldResult) -> None:
    """Write it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, encoded(result))


def load(path: Path, fingerprint: str) -> FoldResult | str:
    """The result, or why it cannot be used: a sentence."""
    if not path.exists():
        return "there is none"
    try:
        found = path.read_bytes()
    except OSError as error:
        return f"{path} cannot be read ({error})"
    return decoded(found, fingerprint, where=str(path))


def encoded(result: FoldResult) -> bytes:
    """Its JSON: one line."""
    return msgspec.json.encode(_rounded(msgspec.to_builtins(result))) + b"\n"


def decoded(line: bytes, fingerprint: str, *, where: str) -> FoldResult | str:
    """The result, or why it cannot be used: a sentence that names `where` it was found."""
    try:
        result = msgspec.json.decode(line, type=FoldResult)
    except msgspec.DecodeError as error:
        return f"{where} cannot be read ({error})"
    if result.schema != SCHEMA:
        return f"{where} is of schema {result.schema}, this program writes {SCHEMA}"
    if result.fingerprint != fingerprint:
        return f"{where} is of other numbers, data or division"
    return result


def thinned(
    history: Sequence[Mapping[str, float]], *, at_most: int
) -> dict[str, tuple[tuple[int, float], ...]]:
    """Curves by name with evenly spaced points, the last always among them.

    Of a fit that diverged, they end where its numbers do: JSON has none that are not finite.
    """
    names = dict.fromkeys(name for record in history for name in record)
    curves = {}
    for name in names:
        points = [
            (at, record[name])
            for at, record in enumerate(history)
            if name in record and math.isfinite(record[name])
        ]
        if not points:
            continue
        chosen = np.unique(np.linspace(0, len(points) - 1, at_most).round().astype(int))
        curves[name] = tuple(points[at] for at in chosen)
    return curves


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {name: _rounded(it) for name, it in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(it) for it in value]
    return value
