"""What a publication reports of methods, beside what its protocol gave here."""

from collections.abc import Mapping, Sequence

from export.crossval_table import SHIPPED, Summary
from train.params import BadParamsError, suggest
from train.recipes import RECIPES

METRICS = ("auroc", "accuracy", "recall", "precision", "f1", "specificity")

Published = Mapping[str, Mapping[str, tuple[float, float]]]  # method → metric → (mean, std)


def check_published(published: Published) -> None:
    """Refuse figures that no row of the table can stand beside.

    Raises:
        BadParamsError: of a method or a metric that we do not know.
    """
    for method, metrics in published.items():
        if method not in RECIPES:
            raise BadParamsError(
                f"crossval.published names {method}, which is no method of ours",
                hint=suggest(method, list(RECIPES)),
            )
        for metric in metrics:
            if metric not in METRICS:
                raise BadParamsError(
                    f"crossval.published.{method} names {metric}, which is no metric of the table",
                    hint=suggest(metric, METRICS),
                )


def table(published: Published, own: Sequence[Summary]) -> list[str]:
    """Two rows for each method that has results here: as published, and ours.

    Args:
        own: of one protocol and grouping.
    """
    here = {(it.method, it.metric): (it.mean, it.std) for it in own if it.recipe == SHIPPED}
    there = {(method, it): pair for method in published for it, pair in published[method].items()}
    methods = [it for it in published if any(method == it for method, _ in here)]
    shown = [it for it in METRICS if any((method, it) in there for method in methods)]
    if not shown:
        return []
    return [
        "| " + " | ".join(["method", "", *shown]) + " |",
        "|---" * (len(shown) + 2) + "|",
        *(
            "| " + " | ".join([name, whose, *(_cell(found, method, it) for it in shown)]) + " |"
            for method in methods
            for name, whose, found in ((f"**{method}**", "here", here), ("", "published", there))
        ),
    ]


def _cell(found: Mapping[tuple[str, str], tuple[float, float]], method: str, metric: str) -> str:
    if (method, metric) not in found:
        return ""
    mean, std = found[method, metric]
    return f"{mean:.3f} ± {std:.3f}"
