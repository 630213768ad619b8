"""Are today's scans what the model was made for? A run's scans beside the normals of its manifest.

Three axes, each for itself: scores, intensities (of the images the network saw) and geometry. The
memory this takes does not grow with the scans, and the records of runs add up.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from infer.compared import (
    LOOKS,
    TOLERANCE,
    Axis,
    Compared,
    Judged,
    compared_from,
    judge,
    record_of,
)
from infer.counted import counted
from infer.manifest import Normals
from infer.population import Reference, population_of, reference_of
from infer.traits import Traits

AXES: tuple[Axis, ...] = ("score", "intensity", "geometry")
AT_ONCE = 1000  # scans: counted together, they cost less
NOT_RECORDED = "not recorded"  # by the model: it was exported before it would have been


class Scored(NamedTuple):
    """What is compared of a scan."""

    score: float
    traits: Traits | None  # None: scored by an earlier version, which did not keep them


class Monitor:
    """Counts a run's scans between the normals as they are scored."""

    def __init__(self, normals: Normals) -> None:
        self._references = references_of(normals)
        self._compared = {name: Compared.with_(it) for name, it in self._references.items()}
        self._waiting: list[Scored] = []

    def add(self, scans: Iterable[Scored]) -> None:
        """Further scans."""
        self._waiting += scans
        if len(self._waiting) >= AT_ONCE:
            self._count()

    def judged(self) -> "Monitoring":
        """What is to be said of the scans so far."""
        self._count()
        return Monitoring.of(self._compared)

    def _count(self) -> None:
        numbers = [_numbers(scan) for scan in self._waiting]
        self._waiting.clear()
        for name, reference in self._references.items():
            values = [each[name] for each in numbers if math.isfinite(each.get(name, math.nan))]
            tolerance = TOLERANCE if LOOKS[name].axis == "geometry" else 1.0
            self._compared[name] += population_of(values, reference, tolerance=tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """A run, or several together, compared with the normals."""

    compared: Mapping[str, Compared]  # by the look's name
    judged: Mapping[str, Judged]

    @classmethod
    def of(cls, compared: Mapping[str, Compared]) -> "Monitoring":
        """Judge each look, as one of so many."""
        known = {name: compared[name] for name in LOOKS if name in compared}
        return cls(
            compared=known,
            judged={
                name: judge(it, LOOKS[name].axis, looks=len(known)) for name, it in known.items()
            },
        )

    @property
    def axes(self) -> dict[Axis, str]:
        """Axis → shifted, higher (scores alone), as expected, too few scans, or not recorded."""
        return {axis: self._axis(axis) for axis in AXES}

    @property
    def verdict(self) -> str:
        """The gravest of the axes'."""
        said = self.axes.values()
        for verdict in ("shifted", "higher", "as expected", "too few scans"):
            if verdict in said:
                return verdict
        return NOT_RECORDED

    @property
    def warnings(self) -> list[str]:
        """A line for each axis that has shifted."""
        return [self._line(axis) for axis, verdict in self.axes.items() if verdict == "shifted"]

    @property
    def notes(self) -> list[str]:
        """What is no warning: abnormal scans score higher, as they should."""
        return [self._line(axis) for axis, verdict in self.axes.items() if verdict == "higher"]

    def as_record(self) -> dict[str, Any]:
        """For run.json."""
        return {
            "verdict": self.verdict,
            "axes": self.axes,
            "warnings": self.warnings,
            "notes": self.notes,
            "looks": {name: record_of(it, self.judged[name]) for name, it in self.compared.items()},
        }

    def _axis(self, axis: Axis) -> str:
        names = [name for name in self.judged if LOOKS[name].axis == axis]
        said = {self.judged[name].verdict for name in names}
        if "shifted" in said:
            return "higher" if axis == "score" and self._is_higher(names[0]) else "shifted"
        if not said:
            return NOT_RECORDED
        return "as expected" if "as expected" in said else "too few scans"

    def _is_higher(self, name: str) -> bool:
        share = self.judged[name].superiority
        return share is not None and share > 0.5

    def _line(self, axis: Axis) -> str:
        shifted = [
            name
            for name, judged in self.judged.items()
            if LOOKS[name].axis == axis and judged.verdict == "shifted"
        ]
        said = "; ".join(self._sentence(name) for name in shifted)
        head = "" if axis == "score" else f"{axis}: "
        return f"{head}{said}. {self._meaning(axis)}"

    def _sentence(self, name: str) -> str:
        compared, judged = self.compared[name], self.judged[name]
        scans = compared.scans
        low, middle, high = compared.normals_range
        return (
            f"{LOOKS[name].words} {_spread('on average', scans.mean, scans.lowest, scans.highest)} "
            f"{counted(scans.count, 'scan')}, {_spread('in the middle', middle, low, high)} "
            f"{counted(compared.normals_count, 'normal scan')} "
            f"(D {judged.distance:.2g}, p {judged.p:.1g}, PSI {judged.index:.2g})"
        )

    def _meaning(self, axis: Axis) -> str:
        if axis == "intensity":
            return "Another window, scanner or kind of scan?"
        if axis == "geometry":
            return (
                "Other voxels than the model was made for, or another part seen? (0 mm: not known)"
            )
        if self.axes["score"] == "higher":
            return (
                "Many abnormal scans do that, which the model is there to find; if most of these "
                "are thought healthy, it was not made for them"
            )
        return "Abnormal scans would not do that: are these images emptier or smoother?"


def _spread(kind: str, middle: float, low: float, high: float) -> str:
    if low == high:
        return f"{low:.4g} in all of"
    return f"{middle:.4g} {kind} ({low:.4g} to {high:.4g}) in"


def references_of(normals: Normals) -> dict[str, Reference]:
    """The numbers of the normals by the look's name: those that the model's file has."""
    columns: dict[str, Sequence[float]] = {
        "score": normals.scores,
        "intensity_mean": normals.intensity_mean,
        "intensity_std": normals.intensity_std,
        **_by_axis("", normals.scan_sizes),
        **_by_axis("spacing_", normals.scan_spacings_mm),
    }
    return {name: reference_of(values) for name, values in columns.items() if len(values)}


def monitoring_from(records: Sequence[Mapping[str, Any]]) -> Monitoring:
    """The monitoring of several runs of one model together, from their run.json.

    Raises:
        KeyError, TypeError, ValueError: they are no such records, or not of one model.
    """
    first, *others = [
        {name: compared_from(look) for name, look in record["looks"].items() if name in LOOKS}
        for record in records
    ]
    together = dict(first)
    for other in others:
        if other.keys() != together.keys():
            raise ValueError("they look at different numbers")
        for name, compared in other.items():
            if not np.array_equal(compared.normals, together[name].normals):
                raise ValueError("they were compared with different normals")
            together[name] += compared.scans
    return Monitoring.of(together)


def in_lines(monitoring: Monitoring) -> Iterator[str]:
    """What a run's closing lines say of it: nothing, where scans are as expected."""
    yield from (f"warning: {line}" for line in monitoring.warnings)
    yield from (f"note: {line}" for line in monitoring.notes)


def _by_axis(prefix: str, rows: Sequence[Sequence[float]]) -> dict[str, Sequence[float]]:
    names = [f"{prefix}{axis}" for axis in ("depth", "height", "width")]
    return dict(zip(names, zip(*rows, strict=True), strict=True)) if rows else {}


def _numbers(scan: Scored) -> dict[str, float]:
    if scan.traits is None:
        return {"score": scan.score}
    mean, std, size, spacing_mm = scan.traits
    return {
        "score": scan.score,
        "intensity_mean": mean,
        "intensity_std": std,
        **dict(zip(("depth", "height", "width"), map(float, size), strict=True)),
        **dict(zip(("spacing_depth", "spacing_height", "spacing_width"), spacing_mm, strict=True)),
    }
