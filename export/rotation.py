"""A study in which each group is tested once: what every test said, and all of them in one table.

reports/<study>/rotate/<name>/fold<k>.json   a test: of a model or a baseline, on one group
reports/<study>/rotate.csv                   method,fold,group,metric,value
reports/<study>/rotate.md                    mean ± std over the groups, and who beats the threshold
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
from sklearn.metrics import roc_auc_score

from export.where_text import SHOWN, THRESHOLD
from infer.writers.atomic import write_bytes
from train.data import ImageRow
from train.params import Params

# Of the voxels of all groups together, by how the table calls it.
POOLED = {"pooled_voxel_ap": "pooled AP", "pooled_voxel_auroc": "pooled AUROC"}
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


def fingerprint_of(params: Params, name: str, data_hash: str) -> str:
    """Equal for tests that arrive at the same result; `name` is a method's or a baseline's."""
    return _fingerprint(BLOCKS, params, name, data_hash)


def _fingerprint(blocks: Sequence[str], params: Params, name: str, data_hash: str) -> str:
    said = {it: params.values[it] for it in blocks} | {
        "fit": params.values["fit"].get(name, {}),
        "name": name,
        "data": data_hash,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


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
        for name, found in _by_name(tests).items()
    }


def to_markdown(
    tests: Sequence[GroupTest],
    rows: Sequence[ImageRow],
    pooled: Mapping[str, Mapping[str, float]],
    *,
    study: str,
) -> str:
    """The table, what it shows, and how to read it.

    Args:
        pooled: name → `export.kept_voxels.pooled_metrics` of all groups; {} where not all are done.
        rows: of the stored images of all groups: where in their stacks the abnormal slices lie.
    """
    by_name = _by_name(tests)
    trivial = {it.name for it in tests if it.trivial}
    groups = sorted({it.group for it in tests})
    shown = [it for it in SHOWN if any(it in found for found in by_name.values())]
    falling = sorted(by_name, key=lambda name: -np.mean(by_name[name].get("dice", [0.0])))
    seconds = {it.name: it.fit_seconds for it in tests if it.fit_seconds is not None}
    together = [it for it in POOLED if any(it in found for found in pooled.values())]
    lines = [
        f"# Study {study}: each of {len(groups)} groups tested by models of the others",
        "",
        "Mean ± standard deviation over the groups (patients), each tested by itself.",
        "",
        "| "
        + " | ".join(
            [
                *("method", "groups"),
                *(SHOWN[it] for it in shown),
                *(POOLED[it] for it in together),
                "fit seconds",
            ]
        )
        + " |",
        "|---" * (len(shown) + len(together) + 3) + "|",
        *(
            "| "
            + " | ".join(
                [
                    f"*{name}*" if name in trivial else f"**{name}**",
                    f"{sum(it.name == name for it in tests)} of {len(groups)}",
                    *(_cell(by_name[name].get(it, [])) for it in shown),
                    *(_pooled_cell(pooled.get(name, {}), it) for it in together),
                    f"{seconds[name]:.0f}" if name in seconds else "",
                ]
            )
            + " |"
            for name in falling
        ),
        "",
        "## What it shows",
        "",
        *(f"- {it}" for it in (*verdicts(tests), *position_in_words(rows))),
        "",
        "## How to read it",
        "",
        "- Dice is at the shipped threshold, which was chosen on the normal slices of the group "
        "that validates; `oracle Dice` at the best threshold for these very scans.",
        "- `pooled` is of the voxels of all groups together, each by the map of its own model.",
        "- Every row has the same postprocessing; rows in italics are trivial baselines.",
        "- What each number is: docs/where.md.",
        "",
    ]
    return "\n".join(lines)


def verdicts(tests: Sequence[GroupTest]) -> list[str]:
    """Of each model, whether it finds more than a threshold on intensity, group by group."""
    dice = {
        name: {it.fold: it.metrics["dice"] for it in tests if it.name == name}
        for name in dict.fromkeys(it.name for it in tests)
        if all("dice" in it.metrics for it in tests if it.name == name)
    }
    threshold = dice.get(THRESHOLD, {})
    sentences = []
    for name in dict.fromkeys(it.name for it in tests if not it.trivial):
        both = sorted(threshold.keys() & dice.get(name, {}).keys())
        if not both:
            continue
        ahead = np.array([dice[name][fold] - threshold[fold] for fold in both])
        said = (
            f"Dice {np.mean([dice[name][it] for it in both]):.3f} instead of "
            f"{np.mean([threshold[it] for it in both]):.3f}, better in {(ahead > 0).sum()} of "
            f"{len(both)} groups"
        )
        if ahead.mean() > 0:
            sentences.append(f"{name} finds more than a threshold on intensity does: {said}.")
        else:
            sentences.append(f"**A threshold on intensity does better than {name}: {said}.**")
    return sentences


def position_in_words(rows: Sequence[ImageRow]) -> list[str]:
    """How well a slice's place in the stack alone tells whether there is a lesion in it."""
    abnormal = np.array([not it.normal for it in rows], bool)
    if abnormal.all() or not abnormal.any():
        return []
    towards_middle = [-abs(it.position - 0.5) for it in rows]
    area = roc_auc_score(abnormal, towards_middle)
    return [
        "A slice's place alone, the nearer to the middle of the stack the odder, tells slices with "
        f"lesions with an AUROC of {area:.3f}: figures of slices are to be read beside that."
    ]


def _by_name(tests: Sequence[GroupTest]) -> dict[str, dict[str, list[float]]]:
    found: dict[str, dict[str, list[float]]] = {}
    for it in tests:
        own = found.setdefault(it.name, {})
        for metric, value in it.metrics.items():
            own.setdefault(metric, []).append(value)
    return found


def _pooled_cell(found: Mapping[str, float], metric: str) -> str:
    return f"{found[metric]:.3f}" if metric in found else ""


def _cell(values: Sequence[float]) -> str:
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def row_metrics(where: Mapping[str, float]) -> dict[str, float]:
    """What of `export.where_files.flat` is kept: of one group, its mean over groups is itself."""
    return {name: value for name, value in where.items() if not name.endswith(("_mean", "_std"))}
