"""A study in which each group is tested once: what every test said, and all of them in a table.

reports/<study>/rotate/<name>/fold<k>.json   a test: of a model or a baseline, on one group
reports/<study>/rotate.csv                   method,fold,group,metric,value
reports/<study>/rotate.md                    the same in words: `export.rotation_text`
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
import numpy as np

from infer.writers.atomic import write_bytes
from train.added_keys import block_without_silent, without_silent
from train.params import Params

DIGITS = 6  # of what is written: beyond, only rounding differs from run to run
# What decides what a test says; of `fit`, the method's own block.
FIT_BLOCKS = ("data", "split", "augment", "patches", "scores")
BLOCKS = (*FIT_BLOCKS, "export", "where")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTest:
    """What one model or baseline found in the group that had no part in it."""

    name: str
    trivial: bool  # a baseline
    fold: int
    group: str  # of the test's scans
    fingerprint: str  # equal where numbers and data are equal
    fit_seconds: float | None  # None: a baseline
    metrics: dict[str, float]  # see docs/where.md
    provenance: dict[str, str]  # commit, machine


def of_fold(params: Params, fold: int) -> Params:
    """The numbers of a fold, which is a study of its own."""
    split = {**params.values["split"], "fold": fold}
    return replace(
        params,
        values={**params.values, "study": f"{params.study}_fold{fold}", "split": split},
    )


def fit_fingerprint_of(params: Params, name: str, data_hash: str) -> str:
    """Equal for fits that arrive at the same model, whatever is then made of its maps."""
    return _fingerprint(FIT_BLOCKS, params, name, data_hash)


def fingerprint_of(params: Params, name: str, data: str) -> str:
    """Equal for tests that arrive at the same result.

    Args:
        name: a method's or a baseline's.
        data: one word for what is prepared and for the files that validate and test.
    """
    return _fingerprint(BLOCKS, params, name, data)


def _fingerprint(blocks: Sequence[str], params: Params, name: str, data: str) -> str:
    fits = params.values["fit"]
    said = {it: params.values[it] for it in blocks} | {
        "fit": block_without_silent(name, fits.get(name, {})),
        "name": name,
        "data": data,
    }
    if name in fits and (of := params.of("fit", name)):  # a variant says only what is its own
        said["of"] = fits[of]
    text = json.dumps(without_silent(said), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save(path: Path, test: GroupTest) -> None:
    """Write it whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, json.dumps(asdict(test), indent=1).encode() + b"\n")


def load(path: Path) -> GroupTest | None:
    """What `save` wrote; None where there is nothing that can be read."""
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=GroupTest)
    except msgspec.DecodeError:
        return None


def to_csv(tests: Sequence[GroupTest]) -> str:
    """Every metric of every test."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("method", "fold", "group", "metric", "value"))
    writer.writerows(
        (it.name, it.fold, it.group, metric, f"{value:.{DIGITS}g}")
        for it in tests
        for metric, value in it.metrics.items()
    )
    return text.getvalue()


def means_of(tests: Sequence[GroupTest]) -> dict[str, dict[str, float]]:
    """Name → metric → mean over the groups of which it exists."""
    return {
        name: {metric: float(np.mean(values)) for metric, values in found.items()}
        for name, found in by_name(tests).items()
    }


def by_name(tests: Sequence[GroupTest]) -> dict[str, dict[str, list[float]]]:
    """Name → metric → its value in each group of which it exists."""
    found: dict[str, dict[str, list[float]]] = {}
    for it in tests:
        own = found.setdefault(it.name, {})
        for metric, value in it.metrics.items():
            own.setdefault(metric, []).append(value)
    return found


def row_metrics(where: Mapping[str, float]) -> dict[str, float]:
    """What of `export.where_files.flat` is kept: of one group, its mean over groups is itself."""
    return {name: value for name, value in where.items() if not name.endswith(("_mean", "_std"))}
