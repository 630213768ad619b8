"""How often would monitoring warn of scans that are like the normals, and how soon of others?

python -m benchmarks.false_alarms RESULTS [RESULTS …] [--draws 20000]

RESULTS are folders of `uad-infer` over scans known to be healthy, all by one model. Their scans are
shuffled and dealt into a table of normals and a run, again and again: both come from the same
scans, so that every warning is a false one. `shuffled` takes any scans for a run, `in a row` takes
neighbours by name, which in many data sets are neighbours in one patient: what no rule that counts
scans can foresee. `moved` adds so many standard deviations of the healthy scans to the mean
intensity of a run's scans: how large a shift is noticed how often.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from infer import output_folder
from infer.journal import Entries
from infer.manifest import Normals
from infer.monitoring import AXES, Monitor, Scored

TABLES = (20, 25, 50)  # normals
RUNS = (5, 10, 20, 50)  # scans
MOVED = (1.0, 2.0, 3.0)  # standard deviations


class Rates(NamedTuple):
    """Shares of the runs."""

    warned: dict[str, float]  # by axis
    any_warning: float
    notes: float
    told: float  # of which anything can be said


def healthy_in(folders: Sequence[Path]) -> list[Scored]:
    """What runs over healthy scans found, by the scans' names."""
    scans = []
    for folder in folders:
        entries = sorted(Entries.read(folder / output_folder.JOURNAL), key=lambda it: it.row.scan)
        scans += [
            Scored(it.row.score, it.traits)
            for it in entries
            if it.row.score is not None and it.traits is not None
        ]
    return scans


def normals_of(scans: Sequence[Scored]) -> Normals:
    """The table that a model would have, had it been calibrated on these."""
    traits = [it.traits for it in scans if it.traits is not None]
    return Normals(
        scores=tuple(sorted(it.score for it in scans)),
        intensity_mean=tuple(it.intensity_mean for it in traits),
        intensity_std=tuple(it.intensity_std for it in traits),
        sizes=(),
        spacings_mm=(),
        scan_sizes=tuple(it.size for it in traits),
        scan_spacings_mm=tuple(it.spacing_mm for it in traits),
    )


def rates(
    scans: Sequence[Scored], normals: int, run: int, draws: int, *, in_a_row: bool, by: float
) -> Rates:
    """Deal so often; how often is there a warning?"""
    rng = np.random.default_rng(0)
    axes = dict.fromkeys(AXES, 0)
    warned = noted = told = 0
    for _ in range(draws):
        order = rng.permutation(len(scans))
        if in_a_row:
            start = int(rng.integers(len(scans) - run + 1))
            taken = set(range(start, start + run))
            order = np.array([*taken, *(at for at in order if at not in taken)])
        monitor = Monitor(normals_of([scans[at] for at in order[run : run + normals]]))
        monitor.add(moved(scans[at], by) for at in order[:run])
        said = monitor.judged()
        for axis, verdict in said.axes.items():
            axes[axis] += verdict == "shifted"
        warned += bool(said.warnings)
        noted += bool(said.notes)
        told += said.verdict != "too few scans"
    return Rates(
        {axis: count / draws for axis, count in axes.items()},
        warned / draws,
        noted / draws,
        told / draws,
    )


def moved(scan: Scored, by: float) -> Scored:
    """The same scan, its mean intensity so much higher."""
    if not by or scan.traits is None:
        return scan
    brighter = scan.traits.intensity_mean + by
    return Scored(scan.score, scan.traits._replace(intensity_mean=brighter))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="+", type=Path)
    parser.add_argument("--draws", type=int, default=20_000)
    asked = parser.parse_args(arguments)
    scans = healthy_in(asked.results)
    spread = float(np.std([it.traits.intensity_mean for it in scans if it.traits is not None]))
    print(f"{len(scans)} healthy scans, {asked.draws:,} draws")
    print_line(("normals", "scans", "runs", "warned", *AXES, "note", "told"))
    for normals in TABLES:
        for run in RUNS:
            if normals + run > len(scans):
                continue
            kinds = [("shuffled", False, 0.0), ("in a row", True, 0.0)]
            kinds += [(f"moved {by:g} σ", False, by * spread) for by in MOVED]
            for name, in_a_row, by in kinds:
                draws = asked.draws if not by else max(1, asked.draws // 20)
                found = rates(scans, normals, run, draws, in_a_row=in_a_row, by=by)
                shares = (found.any_warning, *found.warned.values(), found.notes, found.told)
                print_line((str(normals), str(run), name, *(f"{share:.4f}" for share in shares)))


def print_line(cells: Sequence[str]) -> None:
    """A line of the table, as soon as it is known."""
    print("  ".join(f"{cell:>9}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
