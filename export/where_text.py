"""Where, in the comparison: a table of all models and baselines, and what it shows in words."""

from collections.abc import Mapping, Sequence

from export.ablation import StepRow
from export.localisation import RATES

SHOWN = {
    "voxel_ap": "AP",
    "voxel_auroc": "AUROC",
    "dice": "Dice",
    "dice_at_1_percent": "Dice at 1 %",
    "dice_at_5_percent": "Dice at 5 %",
    "oracle_dice": "oracle Dice",
    "lesion_sensitivity": "lesions found",
    "false_lesions_per_scan": "false lesions per scan",
    "peak_hit_rate": "peak inside",
    "slice_auroc": "slice AUROC",
    "slice_peak_auroc": "slice AUROC by the map's peak",
    "scan_auroc": "scan AUROC",
    "empty_is_right_scans": "empty is right, scans",
    "empty_is_right_slices": "empty is right, slices",
}
THRESHOLD = "intensity_threshold"  # the baseline's name
# Dice of a mask that could ship, by how its threshold was chosen on validation.
AT = {"dice": "as shipped"} | {
    f"dice_{name}": f"{rate * 100:g} % of normal voxels above it" for name, rate in RATES.items()
}


def where_section(rows: Mapping[str, Mapping[str, float]], trivial: Sequence[str]) -> str:
    """Markdown; empty where no test scan's truth is known.

    Args:
        rows: every model's and baseline's metrics by name.
        trivial: which of them are baselines.
    """
    shown = [it for it in SHOWN if any(it in metrics for metrics in rows.values())]
    if not any("voxel_ap" in metrics for metrics in rows.values()):
        return ""
    first = next(iter(rows.values()))
    lines = [
        "## Where",
        "",
        _measured(first),
        "",
        "| " + " | ".join(["method", *(SHOWN[it] for it in shown)]) + " |",
        "|---" * (len(shown) + 1) + "|",
        *(_line(name, metrics, shown, trivial) for name, metrics in rows.items()),
        "",
        *(f"- {sentence}" for sentence in (*verdicts(rows, trivial), *NOTES)),
        "",
    ]
    return "\n".join(lines)


NOTES = (
    "AP, AUROC and Dice are of the voxels of all measured test scans together; in brackets mean ± "
    "standard deviation over the groups (patients) that have lesions, each by itself.",
    "`Dice` is at the shipped threshold; `at 1 %` and `at 5 %` at thresholds that so many of the "
    "normal voxels of validation lie above, with the same postprocessing. `oracle Dice` is that of "
    "the bare map at the best threshold for these very scans: nothing that ships reaches it except "
    "by luck.",
    "Lesions are connected components; `empty is right`: of all empty masks, how many are of "
    "healthy scans (slices). The rest, also by kind and size: `evaluate/<method>_where.csv`.",
)


# What is told of each kind of abnormality, and of each class of lesions by size.
OF_KINDS = {
    "slice_auroc": "Slice AUROC",
    "slice_peak_auroc": "Slice AUROC by the map's peak",
    "voxel_ap": "Voxel AP",
    "lesion_sensitivity": "Lesions found",
}
OF_SIZES = {
    "lesion_sensitivity": "Lesions found",
    "false_lesions_per_scan": "False lesions per scan",
}


def parts_section(
    by: str,
    rows: Mapping[str, Mapping[str, Mapping[str, float]]],
    metrics: Mapping[str, str],
) -> str:
    """Markdown: each metric of each part in a table of its own; empty where there are no parts.

    Args:
        by: what the parts are: kind, size.
        rows: model or baseline → part → metric → number.
        metrics: which are shown, and their names in words.
    """
    parts = list(dict.fromkeys(part for own in rows.values() for part in own))
    lines = []
    for metric, words in metrics.items():
        having = [it for it in parts if any(metric in own.get(it, {}) for own in rows.values())]
        if having:
            lines += ["", f"{words}:", "", *_parts_table(by, rows, having, metric)]
    return "\n".join([f"## By {by}", *lines, ""]) if lines else ""


def _parts_table(
    by: str,
    rows: Mapping[str, Mapping[str, Mapping[str, float]]],
    parts: Sequence[str],
    metric: str,
) -> list[str]:
    def cell(found: Mapping[str, float]) -> str:
        return f"{found[metric]:.3f}" if metric in found else ""

    return [
        "| " + " | ".join([by, *rows]) + " |",
        "|---" * (len(rows) + 1) + "|",
        *(
            "| " + " | ".join([part, *(cell(own.get(part, {})) for own in rows.values())]) + " |"
            for part in parts
        ),
    ]


STEPS_SHOWN = {
    "voxel_ap": "AP",
    "dice": "Dice",
    "dice_mean": "mean Dice of groups",
    "lesion_sensitivity": "lesions found",
    "false_lesions_per_scan": "false lesions per scan",
}


def steps_section(steps: Mapping[str, Sequence[StepRow]]) -> str:
    """Markdown: what each step of postprocessing adds to each model; empty where none is known."""
    lines = [
        "| " + " | ".join([name, row.step, *_step_cells(row)]) + " |"
        for name, rows in steps.items()
        for row in rows
    ]
    if not lines:
        return ""
    columns = ["method", "steps up to", "map threshold", *STEPS_SHOWN.values()]
    head = ["## What postprocessing adds", "", "| " + " | ".join(columns) + " |"]
    note = (
        "Each row with its own threshold: 1 % of the normal voxels of validation lie above it. "
        "Where a method ships with that of its own odds (`export.map_odds`), all its rows have it."
    )
    return "\n".join([*head, "|---" * len(columns) + "|", *lines, "", note, ""])


def _step_cells(row: StepRow) -> list[str]:
    cells = (f"{row.metrics[it]:.3f}" if it in row.metrics else "" for it in STEPS_SHOWN)
    return [f"{row.map_threshold:.4g}", *cells]


def verdicts(rows: Mapping[str, Mapping[str, float]], trivial: Sequence[str]) -> list[str]:
    """Which models a threshold on intensity, cleaned in the same way, does better than.

    The models as they ship, the threshold at whichever of `AT` suits these scans best.
    """
    baseline = rows.get(THRESHOLD, {})
    at = max(AT, key=lambda it: baseline.get(it, -1.0))
    sentences = []
    for name, metrics in rows.items():
        if name in trivial:
            continue
        below = [
            words.format(baseline[theirs], metrics[ours])
            for ours, theirs, words in (
                ("voxel_ap", "voxel_ap", "voxel AP {:.3f} instead of {:.3f}"),
                ("dice", at, f"Dice {{:.3f}} ({AT[at]}) instead of {{:.3f}} as shipped"),
            )
            if theirs in baseline and ours in metrics and baseline[theirs] > metrics[ours]
        ]
        if below:
            sentences.append(
                f"**On this data a threshold on intensity does better than {name}: "
                f"{', '.join(below)}.**"
            )
    return sentences


def _measured(metrics: Mapping[str, float]) -> str:
    left_out = int(metrics["scans_not_measured"])
    said = (
        f"{int(metrics['scans_measured'])} test scans with {int(metrics['lesions'])} lesions in "
        f"{int(metrics['groups_with_lesions'])} groups"
    )
    if not left_out:
        return f"{said}."
    return (
        f"{said}; {left_out} more are not measured: their masks are not known, or show nothing in "
        "the slices that are looked at."
    )


def _line(
    name: str, metrics: Mapping[str, float], shown: Sequence[str], trivial: Sequence[str]
) -> str:
    called = f"*{name}*" if name in trivial else f"**{name}**"
    return "| " + " | ".join([called, *(_cell(metrics, it) for it in shown)]) + " |"


def _cell(metrics: Mapping[str, float], name: str) -> str:
    if name not in metrics:
        return ""
    value = f"{metrics[name]:.3f}"
    if f"{name}_mean" in metrics:
        return f"{value} ({metrics[f'{name}_mean']:.2f} ± {metrics[f'{name}_std']:.2f})"
    return value
