"""What does a scan cost when there are a million, and what do two workers give?

python -m benchmarks.scale [--scans 1000 10000 100000] [--simulated 1000000] [--executor local ray]
    [--size 32]

Tiny pictures, a model that does next to nothing: what is measured is what a run costs beside its
model. For each number of scans, on one worker and on two: seconds for each scan, and what the
driver holds at most, the process that finds scans, gives them out and writes the reports. What a
scan costs is what a larger run takes longer than the next smaller one, for each scan that it has
more: what every run takes to start and to end is in neither.
`--simulated`: so many scans again, whose workers answer at once without reading anything, so that
the driver is alone to be measured. With the smallest pictures the driver's own share of the cores
bounds what a second worker gives; `--size` draws larger ones. Everything runs on this machine; one
thread for each worker, if the model is so small that a second one is of no use to it.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from benchmarks.machine import cores, keep, processor, table
from benchmarks.memory import IN_A_FOLDER, mib

SCANS = (1_000, 10_000, 100_000)
SIMULATED = (10_000, 100_000, 1_000_000)
WORKERS = (1, 2)
DRAWN = 200  # different pictures: others are links to them
LOOK_SECONDS = 0.1
# What this is to show.
MOST_GROWTH = 0.10  # of a scan's cost, from the fewest scans to the most
LEAST_GAIN = 1.7  # of two workers on two cores over one

COMMAND = "from infer.cli import main; main()"
# The same with workers that answer at once, and tasks that no file stands behind.
INSTANT = """
import sys
from benchmarks.instant_run import run
run(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
"""


def main(arguments: Sequence[str]) -> None:
    """Measure, print one table, keep it."""
    chosen = parsed(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        runs = list(measured(chosen, Path(folder)))
    lines = dict(itertools.chain(map(line, runs), shown(runs)))
    size = chosen.size
    print(table(f"{size} × {size} PNG, {cores()} cores, {processor()}", lines))
    print(f"kept in {keep(chosen.name, {'size_px': size, 'runs': runs})}")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What to measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale")
    parser.add_argument("--scans", type=int, nargs="*", default=SCANS)
    parser.add_argument("--simulated", type=int, nargs="*", default=SIMULATED)
    parser.add_argument("--size", type=int, default=32, help="of a picture, in pixels")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    parser.add_argument("--executor", nargs="+", default=["local"], choices=["local", "ray"])
    parser.add_argument("--model", type=Path, required=True, help="e.g. models/phantom/cae.onnx")
    parser.add_argument("--folder", type=Path, help="where scans and results are put meanwhile")
    parser.add_argument("--name", default="scale", help="of the JSON under benchmarks/results")
    return parser.parse_args(arguments)


def measured(chosen: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Every run that was asked for; sizes take turns, so that a slower hour meets all of them."""
    for executor, workers in itertools.product(chosen.executor, chosen.workers):
        for count in sorted(chosen.scans):
            scans = draw(folder / f"scans{count}", count, chosen.size)
            out = folder / f"out{count}-{workers}-{executor}"
            options = ("--workers", workers, "--executor", executor, "--device", "cpu")
            common = ("--model", chosen.model, "--overlays", "none", "--quiet")
            used = watched("-c", COMMAND, scans, "--out", out, *options, *common)
            yield {"scans": count, "workers": workers, "executor": executor, **used}
    for count in sorted(chosen.simulated):
        out = folder / f"simulated{count}"
        used = watched("-c", INSTANT, count, chosen.model, 2, out)
        yield {"scans": count, "workers": 2, "executor": "simulated", **used}


def draw(scans: Path, count: int, size: int) -> Path:
    """Small pictures, so many a folder; they stay for the next run."""
    noise = np.random.default_rng(0)
    pictures = [
        cv2.imencode(".png", noise.integers(0, 2**8, (size, size), np.uint8))[1].tobytes()
        for _ in range(DRAWN)
    ]
    for at in range(count if not scans.exists() else 0):
        place = scans / f"{at // IN_A_FOLDER:04}"
        if at % IN_A_FOLDER == 0:
            place.mkdir(parents=True)
        (place / f"{at:07}.png").write_bytes(pictures[at % DRAWN])
    return scans


def watched(*command: object) -> dict[str, float]:
    """Seconds of a Python process, and the most that it holds itself."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, env=environment
    )
    driver, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            peak = max(peak, driver.memory_info().rss)
        except psutil.NoSuchProcess:
            break
        time.sleep(LOOK_SECONDS)
    if process.wait():
        sys.exit(f"a run ended with exit code {process.returncode}")
    return {"seconds": time.perf_counter() - start, "driver_bytes": float(peak)}


def costs_ms(runs: Sequence[dict[str, Any]]) -> dict[int, float]:
    """Of each scan that a run has more than the next smaller one."""
    ordered = sorted(runs, key=lambda run: int(run["scans"]))
    return {
        more["scans"]: 1000 * (more["seconds"] - less["seconds"]) / (more["scans"] - less["scans"])
        for less, more in itertools.pairwise(ordered)
    }


def line(run: dict[str, Any]) -> tuple[str, str]:
    """One run as a line of the table."""
    said = f"{run['scans']:,} scans, {run['workers']} workers, {run['executor']}"
    return said, f"{run['seconds']:8.1f} s  driver {mib(run['driver_bytes'])}"


def shown(runs: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """What follows from the runs."""
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["executor"], run["workers"]), []).append(run)
    costs = {group: costs_ms(members) for group, members in groups.items()}
    for (executor, workers), by_count in costs.items():
        said = f"{workers} workers, {executor}"
        for count, cost in by_count.items():
            yield f"a scan up to {count:,}, {said}", f"{cost:8.3f} ms"
        if len(by_count) > 1:
            growth = by_count[max(by_count)] / by_count[min(by_count)] - 1
            yield f"growth of its cost, {said}", f"{growth:+8.1%}  at most {MOST_GROWTH:.0%}"
    for executor in dict.fromkeys(executor for executor, _ in groups):
        one, two = costs.get((executor, 1)), costs.get((executor, 2))
        if one and two:
            gain = one[max(one)] / two[max(one)]
            yield f"two workers over one, {executor}", f"{gain:8.2f} ×  at least {LEAST_GAIN}"


if __name__ == "__main__":
    main(sys.argv[1:])
