"""The cross validation in words: tables for people, what they show, and how to read them."""

from collections import Counter
from collections.abc import Mapping, Sequence

from export import crossval_published
from export.crossval_beside import SUPERVISED, Beside, in_words
from export.crossval_published import METRICS, Published
from export.crossval_table import SHIPPED, Compared, Summary
from export.fold_job import FoldJob
from export.fold_result import FoldResult
from train.metrics import Bootstrap

SHOWN = (*METRICS, "psnr", "ssim")
SIGNIFICANT = 0.05


def to_markdown(
    results: Sequence[FoldResult],
    summaries: Sequence[Summary],
    tests: Sequence[Compared],
    *,
    study: str,
    config: Bootstrap,
    folds: int,
    missing: Sequence[FoldJob],
    beside: Sequence[Beside],
    published: Published,
    variants: Mapping[str, str],
    leaks: Sequence[str],
) -> str:
    """One table for each protocol and grouping, what it shows, and how to read it.

    Args:
        folds: of each method, under either grouping, when all is done.
        missing: folds without a result.
        beside: supervised methods, whose summaries are among these.
        published: figures of others, under the protocol `study` and without groups.
        variants: the method whose networks a variant took over, by the variant's name.
        leaks: what else might tell the labels, in words.
    """
    trivial = {it.method for it in results if it.trivial}
    lines = [
        f"# Study {study}: 2×5 cross validation",
        "",
        f"Mean ± std over the results of all folds and both halves of the abnormals; in brackets "
        f"the {config.confidence:.0%} interval of {config.resamples} bootstrap resamples of the "
        f"groups: near-duplicates, or scans of one patient (`groups.csv`).",
        *_unfinished(missing, folds),
        *(line for leak in leaks for line in ("", leak)),
    ]
    sections = dict.fromkeys((it.protocol, it.grouped) for it in summaries)
    for protocol, grouped in (it for it in sections if it[0] != SUPERVISED):
        own = [it for it in summaries if (it.protocol, it.grouped) == (protocol, grouped)]
        lines += ["", f"## `{protocol}`, {_grouping(grouped)}", ""]
        lines += _table(own, trivial, most=2 * folds)
        lines += ["", *(f"- {it}" for it in verdicts(own, tests, trivial))]
        if (protocol, grouped) == ("study", False):
            lines += _published(crossval_published.table(published, own))
    if supervised := [it for it in summaries if it.protocol == SUPERVISED]:
        lines += ["", f"## `{SUPERVISED}`, {_grouping(grouped=True)}", ""]
        lines += _table(supervised, trivial, most=1)
        lines += ["", *(f"- {it}" for it in in_words(beside))]
    lines += ["", "## Every score recipe: AUROC", "", *_recipes(summaries)]
    lines += ["", "## How to read it", "", *(f"- {it}" for it in _notes(variants))]
    lines += ["", "Made by " + ", ".join(_origins(results)) + ".", ""]
    return "\n".join(lines)


def verdicts(
    summaries: Sequence[Summary], tests: Sequence[Compared], trivial: set[str]
) -> list[str]:
    """For each method whether it beats the strongest trivial baseline, and what it is beaten by.

    Means over different folds say nothing of each other: only what is tested is compared.
    """
    areas = {it.method: it for it in summaries if it.metric == "auroc" and it.recipe == SHIPPED}
    sentences = []
    for name, own in areas.items():
        if name in trivial:
            continue
        said = f"{name} (AUROC {own.mean:.3f})"
        p_of = {it: p for it in trivial & areas.keys() if (p := _p_of(tests, own, it)) is not None}
        if not p_of:
            sentences.append(f"{said} is not compared: no trivial baseline has the same results.")
            continue
        strongest = max((areas[it] for it in p_of), key=lambda it: it.mean)
        p = p_of[strongest.method]
        best = f"{strongest.method} ({strongest.mean:.3f})"
        if own.mean <= strongest.mean:
            sentences.append(f"**{said} is no better than the trivial {best} (p = {p:.2g}).**")
        elif p < SIGNIFICANT:
            sentences.append(
                f"{said} is ahead of every trivial baseline; the best is {best} (p = {p:.2g})."
            )
        else:
            sentences.append(
                f"{said} is ahead of the best trivial baseline, {best}, but not clearly "
                f"(p = {p:.2g})."
            )
    return sentences


def _p_of(tests: Sequence[Compared], own: Summary, other: str) -> float | None:
    for it in tests:
        if (it.protocol, it.grouped) == (own.protocol, own.grouped) and {it.first, it.second} == {
            own.method,
            other,
        }:
            return it.p
    return None


def _unfinished(missing: Sequence[FoldJob], folds: int) -> list[str]:
    """Which rows lack results, in words."""
    if not missing:
        return []
    lacking = Counter((it.name, it.grouped) for it in missing)
    return [
        "",
        "**Not finished.** These rows lack results, or are not there at all:",
        "",
        *(
            f"- {name}, {_grouping(grouped)}: {count} of {folds} folds are missing"
            for (name, grouped), count in lacking.items()
        ),
    ]


def _table(summaries: Sequence[Summary], trivial: set[str], *, most: int) -> list[str]:
    rows: dict[str, dict[str, Summary]] = {}
    for it in summaries:
        if it.recipe == SHIPPED:
            rows.setdefault(it.method, {})[it.metric] = it
    shown = [name for name in SHOWN if any(name in row for row in rows.values())]
    falling = sorted(rows, key=lambda name: -rows[name]["auroc"].mean)
    return [
        "| " + " | ".join(["method", "results", *shown, "fit seconds"]) + " |",
        "|---" * (len(shown) + 3) + "|",
        *(
            "| "
            + " | ".join(
                [
                    f"*{name}*" if name in trivial else f"**{name}**",
                    f"{rows[name]['auroc'].results} of {most}",
                    *(_mean(rows[name].get(it), bounds=it == "auroc") for it in shown),
                    f"{rows[name]['fit_seconds'].mean:.0f}" if "fit_seconds" in rows[name] else "",
                ]
            )
            + " |"
            for name in falling
        ),
    ]


def _published(table: Sequence[str]) -> list[str]:
    if not table:
        return []
    return [
        "",
        "### Beside the published figures",
        "",
        *table,
        "",
        "By the protocol that the publication describes; how it divided the scans is not known, so "
        "nothing is tested between the two.",
    ]


def _recipes(summaries: Sequence[Summary]) -> list[str]:
    own = [it for it in summaries if it.metric == "auroc" and it.recipe != SHIPPED]
    columns = dict.fromkeys((it.method, it.protocol, it.grouped) for it in own)
    cells = {(it.recipe, it.method, it.protocol, it.grouped): it for it in own}
    heads = [f"{m}, {p}{', grouped' if g else ''}" for m, p, g in columns]
    return [
        "| " + " | ".join(["recipe", *heads]) + " |",
        "|---" * (len(heads) + 1) + "|",
        *(
            "| " + " | ".join([recipe, *(_mean(cells.get((recipe, *it))) for it in columns)]) + " |"
            for recipe in dict.fromkeys(it.recipe for it in own)
        ),
    ]


def _mean(summary: Summary | None, *, bounds: bool = False) -> str:
    if summary is None:
        return ""
    digits = 1 if summary.metric == "psnr" else 3
    text = f"{summary.mean:.{digits}f}"
    if summary.results > 1:
        text += f" ± {summary.std:.{digits}f}"
    if bounds and summary.low is not None:
        text += f" [{summary.low:.2f}, {summary.high:.2f}]"
    return text


def _grouping(grouped: bool) -> str:
    return "groups kept together" if grouped else "as published (every slice by itself)"


def _notes(variants: Mapping[str, str]) -> list[str]:
    return [
        "`study`: checkpoint and score recipe by validation AUROC, threshold by validation F1, all "
        "within the fold. `blind`: no abnormal image is seen before the test; the recipe is fixed "
        "beforehand, the threshold is at a fixed false-positive rate on validation normals.",
        "both halves of the abnormals share the fit of a fold: ten results of five fits.",
        "rows in italics are trivial baselines, on images in [0, 1].",
        "p is of a corrected resampled t-test (Nadeau & Bengio, 2003); all pairs are in tests.csv.",
        "rows of score recipes that were not shipped are for reading: nothing was chosen by them.",
        "`psnr` (dB) and `ssim` are of the reconstructions of normal test scans.",
        *(
            f"fit seconds of {name} leave out what it took over from {of}: add that method's to "
            f"fit it alone."
            for name, of in variants.items()
        ),
    ]


def _origins(results: Sequence[FoldResult]) -> list[str]:
    """Which commits and machines the results come from."""
    said = dict.fromkeys(
        f"commit {str(it.provenance['git_commit'])[:9] or 'unknown'}"
        f"{' (changed)' if it.provenance['git_dirty'] else ''} on {it.provenance['machine']}"
        for it in results
    )
    return list(said)
