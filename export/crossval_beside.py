"""Supervised methods beside a cross validation: rows that their own studies have measured.

A method that learns from labels needs abnormal images to train on, and so a division of its own.
Its row is what the stage `evaluate` found in that study: one fit, one test, on other scans.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from export.crossval_table import SHIPPED, Summary, Value
from train.metrics import Interval
from train.params import BadParamsError
from train.paths import report_folder
from train.recipes import find

SUPERVISED = "supervised"  # the protocol
FIRST = 0  # and only: fold, and repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a study says of its supervised method."""

    method: str
    study: str
    metrics: dict[str, Interval]
    fit_seconds: float
    normal: int  # test scans
    abnormal: int


def check_beside(beside: Mapping[str, str]) -> None:
    """Refuse methods that the cross validation itself can fit.

    Raises:
        BadParamsError: there is one.
    """
    for method in beside:
        if not find(method).supervised:
            raise BadParamsError(
                f"crossval.beside names {method}, which does not learn from labels",
                hint="name it under crossval.methods: it is fitted there",
            )


def load_beside(beside: Mapping[str, str]) -> list[Beside]:
    """What there is; what is not is said.

    Args:
        beside: the study by the method's name.
    """
    found = []
    for method, study in beside.items():
        measured = report_folder(study, "evaluate") / f"{method}.json"
        fitted = report_folder(study, "fit") / f"{method}.json"
        if not (measured.exists() and fitted.exists()):
            print(f"not in the table: {method} of {study}: run `make study STUDY={study}` first")
            continue
        numbers = json.loads(measured.read_text(encoding="utf-8"))
        found.append(
            Beside(
                method=method,
                study=study,
                metrics={
                    it: Interval(value=numbers[it], low=numbers[low], high=numbers[f"{it}_high"])
                    for low in numbers
                    if low.endswith("_low") and (it := low.removesuffix("_low")) in numbers
                },
                fit_seconds=json.loads(fitted.read_text(encoding="utf-8"))["fit_seconds"],
                normal=numbers["scans_normal"],
                abnormal=numbers["scans_abnormal"],
            )
        )
    return found


def values_of(found: Sequence[Beside]) -> list[Value]:
    """Their lines of folds.csv; groups are kept together wherever a study is divided."""
    return [
        Value(it.method, SUPERVISED, True, SHIPPED, FIRST, FIRST, metric, value)
        for it in found
        for metric, value in {
            **{name: interval.value for name, interval in it.metrics.items()},
            "fit_seconds": it.fit_seconds,
        }.items()
    ]


def summaries_of(found: Sequence[Beside]) -> list[Summary]:
    """Their lines of crossval.csv, each of a single result."""
    bounds = {it.method: it.metrics for it in found}
    return [
        Summary(
            *it[:4],
            it.metric,
            it.value,
            0.0,
            None if (bound := bounds[it.method].get(it.metric)) is None else bound.low,
            None if bound is None else bound.high,
            1,
        )
        for it in values_of(found)
    ]


def in_words(found: Sequence[Beside]) -> list[str]:
    """What their rows must not be taken for."""
    return [
        f"{it.method} is supervised: it was trained with abnormal images, in the study "
        f"`{it.study}` on a division of its own, and tested once, on {it.normal} normal and "
        f"{it.abnormal} abnormal scans. Its row and those above are of different tests."
        for it in found
    ]
