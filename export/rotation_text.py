"""A study in which each group is tested once, for reading: one table, and what it shows."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from sklearn.metrics import roc_auc_score

from export.rotation import GroupTest, by_name
from export.where_text import AT, SHOWN, THRESHOLD
from train.data import ImageRow

# Of the voxels of all groups together, by how the table calls it.
POOLED = {"pooled_voxel_ap": "pooled AP", "pooled_voxel_auroc": "pooled AUROC"}
RANDOM = "random"  # the baseline's name


def to_markdown(
    tests: Sequence[GroupTest],
    rows: Sequence[ImageRow],
    pooled: Mapping[str, Mapping[str, float]],
    *,
    study: str,
    groups: int,
) -> str:
    """The table, what it shows, and how to read it.

    Args:
        groups: how many there are, tested or not.
        pooled: name → `export.kept_voxels.pooled_metrics` of all groups; {} where not all are done.
        rows: of the stored images of all groups: where in their stacks the abnormal slices lie.
    """
    found_by = by_name(tests)
    trivial = {it.name for it in tests if it.trivial}
    shown = [it for it in SHOWN if any(it in found for found in found_by.values())]
    falling = sorted(found_by, key=lambda name: -np.mean(found_by[name].get("dice", [0.0])))
    tested = Counter(it.name for it in tests)
    seconds = {name: [it.fit_seconds for it in tests if it.name == name] for name in tested}
    unfinished = [f"{name} {count}" for name, count in tested.items() if count < groups]
    words = (*verdicts(tests), *random_in_words(tests), *position_in_words(rows))
    together = [it for it in POOLED if any(it in found for found in pooled.values())]
    lines = [
        f"# Study {study}: each of {groups} groups tested by models of the others",
        "",
        *(
            (
                f"**Not finished**: of {groups} groups, tested are {', '.join(unfinished)}. Means "
                "are of those, and rows of different groups do not compare.",
                "",
            )
            if unfinished
            else ()
        ),
        "Mean ± standard deviation over the groups (patients), each tested by itself; `(of n)` "
        "where only so many have that number. Seconds are a fit's mean.",
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
                    f"{tested[name]} of {groups}",
                    *(_cell(found_by[name].get(it, []), of=tested[name]) for it in shown),
                    *(_pooled_cell(pooled.get(name, {}), it) for it in together),
                    _mean_seconds(seconds[name]),
                ]
            )
            + " |"
            for name in falling
        ),
        "",
        "## What it shows",
        "",
        *(f"- {it}" for it in words),
        "",
        "## How to read it",
        "",
        "- Dice is at the shipped threshold: chosen on the normal slices of the group that "
        "validates, or, of a network that tells odds, where they are those of `export.map_odds`; "
        "`oracle Dice` at the best threshold for these very scans.",
        "- A model is compared as shipped with a threshold on intensity at the best of three: as "
        "shipped, and where 1 % or 5 % of those normal voxels lie above. That choice has seen the "
        "tests, in favour of the threshold.",
        "- `pooled` is of the voxels of all groups together, each by the map of its own model.",
        "- Every row has the same postprocessing; rows in italics are trivial baselines.",
        "- What each number is: docs/where.md.",
        "",
    ]
    return "\n".join(lines)


def verdicts(tests: Sequence[GroupTest]) -> list[str]:
    """Of each model, whether it finds more than a threshold on intensity, group by group.

    The model as it ships, the threshold at whichever of `AT` suits these very groups best: one
    rate for all would favour whichever of the two it happens to suit.
    """
    sentences = []
    for name in dict.fromkeys(it.name for it in tests if not it.trivial):
        dice = _by_fold(tests, name, "dice")
        at, threshold = _best(tests, THRESHOLD, among=dice.keys())
        if not threshold:
            continue
        ahead = np.array([dice[fold] - threshold[fold] for fold in threshold])
        said = (
            f"Dice {np.mean([dice[fold] for fold in threshold]):.3f} as shipped instead of "
            f"{np.mean(list(threshold.values())):.3f} ({AT[at]}), better in {(ahead > 0).sum()} "
            f"of {len(ahead)} groups"
        )
        if ahead.mean() > 0:
            sentences.append(
                f"{name} finds more than a threshold on intensity does at its best: {said}."
            )
        else:
            how = "better than" if ahead.mean() < 0 else "as well as"
            sentences.append(f"**At its best a threshold on intensity does {how} {name}: {said}.**")
    return sentences


def random_in_words(tests: Sequence[GroupTest]) -> list[str]:
    """What the postprocessing finds by itself: a prior may do most of the work."""
    shipped = _by_fold(tests, RANDOM, "dice")
    at, best = _best(tests, RANDOM, among=shipped.keys())
    if not best:
        return []
    said = f"Dice {np.mean(list(shipped.values())):.3f} as shipped"
    if at != "dice":
        said += f", at its best {np.mean(list(best.values())):.3f} ({AT[at]})"
    return [
        f"A map drawn at random has, by the same postprocessing, {said}: every Dice is to be read "
        "beside that."
    ]


def _by_fold(tests: Sequence[GroupTest], name: str, metric: str) -> dict[int, float]:
    return {it.fold: it.metrics[metric] for it in tests if it.name == name and metric in it.metrics}


def _best(
    tests: Sequence[GroupTest], name: str, *, among: Collection[int]
) -> tuple[str, dict[int, float]]:
    """Which of `AT` has the highest mean Dice, and that of each of these folds; {} if none has.

    Only what is known of as many folds as any other is compared: a mean over fewer may be that of
    the easy ones.
    """
    found = {
        at: {fold: dice for fold, dice in _by_fold(tests, name, at).items() if fold in among}
        for at in AT
    }
    at = max(found, key=lambda it: (len(found[it]), np.mean(list(found[it].values()) or [0.0])))
    return at, found[at]


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


def _pooled_cell(found: Mapping[str, float], metric: str) -> str:
    return f"{found[metric]:.3f}" if metric in found else ""


def _mean_seconds(found: Sequence[float | None]) -> str:
    known = [it for it in found if it is not None]
    return f"{np.mean(known):.0f}" if known else ""


def _cell(values: Sequence[float], *, of: int) -> str:
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    few = f" (of {len(values)})" if len(values) < of else ""
    return f"{np.mean(values):.3f}{spread}{few}"
