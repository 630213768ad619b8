"""The comparison as a table: CSV for programs, Markdown with intervals for people."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from export.evaluation import DIGITS, Evaluation

METRICS = (
    "auroc",
    "average_precision",
    "accuracy",
    "recall",
    "precision",
    "f1",
    "specificity",
    "pixel_ap",
    "dice",
    "best_dice",
    "psnr",
)
COLUMNS = ("method", *METRICS, "fit_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One row: a model, or a trivial baseline and what it does."""

    evaluation: Evaluation
    fit_seconds: float | None  # None: a baseline
    in_words: str  # of a baseline
    where: Mapping[str, float] = field(default_factory=dict)  # `export.localisation`, flat
    kinds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by kind: likewise
    sizes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by size class

    @property
    def name(self) -> str:
        return self.evaluation.name

    @property
    def trivial(self) -> bool:
        return self.fit_seconds is None


def to_csv(rows: Sequence[Compared]) -> str:
    """One line per row; empty where a metric does not exist."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        metrics = row.evaluation.metrics
        cells = [f"{metrics[it].value:.{DIGITS}g}" if it in metrics else "" for it in METRICS]
        seconds = "" if row.fit_seconds is None else f"{row.fit_seconds:.1f}"
        writer.writerow([row.name, *cells, seconds])
    return text.getvalue()


def to_markdown(
    rows: Sequence[Compared],
    *,
    study: str,
    confidence: float,
    resamples: int,
    variants: Mapping[str, str],
    leaks: Sequence[str],
) -> str:
    """The table with intervals, what it shows, and how to read it.

    Args:
        variants: the method whose networks a variant took over, by the variant's name.
        leaks: what else might tell the labels, in words.
    """
    shown = [it for it in METRICS if any(it in row.evaluation.metrics for row in rows)]
    first = rows[0].evaluation
    normal, abnormal = int((~first.abnormal).sum()), int(first.abnormal.sum())
    lines = [
        f"# Study {study}: {normal} normal and {abnormal} abnormal test scans",
        "",
        f"Value [{confidence:.0%} interval of {resamples} bootstrap resamples of the groups].",
        "",
        "| " + " | ".join(["method", *shown]) + " |",
        "|---" * (len(shown) + 1) + "|",
        *(
            "| " + " | ".join([_name(row), *(_cell(row, it) for it in shown)]) + " |"
            for row in rows
        ),
        "",
        "## What it shows",
        "",
        *(f"- {sentence}" for sentence in (*verdicts(rows), *leaks)),
        "",
        "## How to read it",
        "",
        *(f"- {sentence}" for sentence in _notes(rows, shown, variants)),
        "",
    ]
    return "\n".join(lines)


def verdicts(rows: Sequence[Compared]) -> list[str]:
    """For each model, whether the trivial baselines leave it any merit."""
    trivial = [row for row in rows if row.trivial and "auroc" in row.evaluation.metrics]
    if not trivial:
        return []
    sentences = []
    for row in rows:
        if row.trivial or "auroc" not in row.evaluation.metrics:
            continue
        own = row.evaluation.metrics["auroc"]
        strongest = max(trivial, key=lambda it: it.evaluation.metrics["auroc"].value)
        best = strongest.evaluation.metrics["auroc"]
        beaten = _at_least(trivial, "auroc", own.value)
        if beaten:
            sentence = (
                f"**{row.name} (AUROC {own.value:.3f}) is no better than the trivial {beaten}.**"
            )
        elif best.high >= own.low:
            sentence = (
                f"{row.name} (AUROC {own.value:.3f}) is ahead of every trivial baseline, but its "
                f"interval overlaps that of {strongest.name} ({best.value:.3f})."
            )
        else:
            sentence = (
                f"{row.name} (AUROC {own.value:.3f}) is ahead of every trivial baseline; the "
                f"strongest is {strongest.name} ({best.value:.3f})."
            )
        sentences += [sentence, *_of_pixels(row, trivial)]
    return sentences


def numbers(rows: Sequence[Compared]) -> dict[str, dict[str, float]]:
    """Row → metric → value, for a tracker."""
    found = {}
    for row in rows:
        metrics = row.evaluation.metrics
        found[row.name] = {it: metrics[it].value for it in METRICS if it in metrics}
        found[row.name] |= {f"where_{name}": it for name, it in row.where.items()}
        if row.fit_seconds is not None:
            found[row.name]["fit_seconds"] = row.fit_seconds
    return found


def _of_pixels(row: Compared, trivial: Sequence[Compared]) -> list[str]:
    """A baseline that finds the lesions' pixels better is said as well."""
    own = row.evaluation.metrics.get("pixel_ap")
    if own is None:
        return []
    better = _at_least(trivial, "pixel_ap", own.value)
    if not better:
        return []
    return [
        f"**On pixels {row.name} (AP {own.value:.3f}) is no better than the trivial {better}.**"
    ]


def _at_least(rows: Sequence[Compared], metric: str, least: float) -> str:
    """The rows that reach a value, with theirs, as a sentence lists them."""
    found = {row.name: row.evaluation.metrics[metric].value for row in rows}
    return ", ".join(f"{name} ({value:.3f})" for name, value in found.items() if value >= least)


def _notes(
    rows: Sequence[Compared], shown: Sequence[str], variants: Mapping[str, str]
) -> list[str]:
    notes = [
        "accuracy, recall, precision, F1 and specificity are those at the shipped threshold, "
        "which was chosen on validation scans.",
    ]
    if "dice" in shown:
        notes += [
            "pixel metrics are over the pixels of all test scans with a known truth, normal scans "
            "included; `dice` is that of the shipped masks.",
            "`best_dice` is an oracle: the best threshold for these very test scans, without "
            "post-processing. Nothing that ships reaches it except by luck.",
        ]
    if "psnr" in shown:
        notes.append("`psnr` (dB) is of the reconstructions of normal test scans.")
    notes += [
        f"`fit_seconds` of {name}, in the CSV file, leaves out whatever it took over from {of}."
        for name, of in variants.items()
    ]
    notes += _mixed_groups(rows)
    words = [f"`{row.name}`: {row.in_words}." for row in rows if row.trivial]
    return [*notes, "Rows in italics are trivial baselines, on images in [0, 1].", *words]


def _mixed_groups(rows: Sequence[Compared]) -> list[str]:
    """What resampling does to intervals where both labels are in one group."""
    labels: dict[str, set[str]] = {}
    for scan in rows[0].evaluation.rows if rows else ():
        labels.setdefault(scan.group, set()).add(scan.label)
    mixed = sum(len(found) > 1 for found in labels.values())
    if not mixed:
        return []
    return [
        f"{mixed} of {len(labels)} groups hold normal and abnormal scans. A resample repeats pairs "
        "within a group. Where such scans differ in little else and are told apart more easily "
        "than those of two groups, intervals of the AUROC lie too high."
    ]


def _line(row: Compared, shown: Sequence[str]) -> str:
    return "| " + " | ".join([_name(row), *(_cell(row, it) for it in shown)]) + " |"


def _name(row: Compared) -> str:
    return f"*{row.name}*" if row.trivial else f"**{row.name}**"


def _cell(row: Compared, metric: str) -> str:
    found = row.evaluation.metrics.get(metric)
    if found is None or math.isnan(found.value):
        return ""
    digits = 1 if metric == "psnr" else 2
    return f"{found.value:.{digits + 1}f} [{found.low:.{digits}f}, {found.high:.{digits}f}]"
