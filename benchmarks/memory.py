"""Does memory stay flat however many scans there are, and how soon does a large folder go on?

python -m benchmarks.memory [--model FILE] [--scans 1000 10000] [--files 100000] [--repeats 3]

Peak memory is what `uad-infer` and all processes that it starts hold together, looked at twenty
times a second; the model and libraries are in it, and what processes share is counted once. Then a
folder of many files is scored once, and the same command given again: it finds every file, sees
that each is done and still the same, and writes the reports. The median counts.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import psutil

from benchmarks.machine import cores, keep, processor, table
from infer.readers.discovery import scans_in

SCANS = (1_000, 10_000)
FILES = 100_000
SIZE = 64  # of a picture, in pixels
IN_A_FOLDER = 1_000
# What this is to show: growth from the fewest to the most scans, seconds to go on.
MOST_GROWTH = 0.10
MOST_SECONDS = 20
OPTIONS = ("--overlays", "none", "--device", "cpu", "--quiet")
LOOK_SECONDS = 0.05


class Used(NamedTuple):
    """What one run took."""

    seconds: float
    peak_bytes: int  # of all its processes


def main(arguments: Sequence[str]) -> None:
    """Measure, print one table, keep it."""
    chosen = parsed(arguments)
    if chosen.model is None:
        sys.exit("no models/phantom/*.onnx here: run `make demo` first, or name --model")
    with tempfile.TemporaryDirectory() as folder:
        peaks = {
            count: peak_bytes(chosen.model, Path(folder), count, chosen.repeats)
            for count in sorted(chosen.scans)
        }
        large = going_on(chosen.model, Path(folder), chosen.files, chosen.repeats)
    growth = peaks[max(peaks)] / peaks[min(peaks)] - 1
    title = f"{SIZE} × {SIZE} PNG, {chosen.model.stem}, {cores()} cores, {processor()}"
    print(table(title, printed(peaks, growth, chosen.files, large)))
    result = {
        "model": chosen.model.stem,
        "peak_bytes": {str(count): peak for count, peak in peaks.items()},
        "growth": growth,
        "going_on": {"files": chosen.files, **large},
    }
    print(f"kept in {keep(chosen.name, result)}")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What to measure, on what."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory")
    default = next(iter(sorted(Path("models/phantom").glob("*.onnx"))), None)
    parser.add_argument("--model", type=Path, default=default)
    parser.add_argument("--scans", type=int, nargs="+", default=SCANS, help="peak memory of these")
    parser.add_argument("--files", type=int, default=FILES, help="to find and check again")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="memory", help="of the JSON under benchmarks/results")
    return parser.parse_args(arguments)


def draw(scans: Path, count: int) -> Path:
    """Small pictures that differ, so many a folder."""
    noise = np.random.default_rng(0)
    for at in range(count):
        place = scans / f"{at // IN_A_FOLDER:03}"
        place.mkdir(parents=True, exist_ok=True)
        picture = noise.integers(0, 2**8, (SIZE, SIZE), np.uint8)
        cv2.imwrite(str(place / f"{at:06}.png"), picture)
    return scans


def peak_bytes(model: Path, folder: Path, count: int, repeats: int) -> int:
    """The most that scoring so many scans takes."""
    scans = draw(folder / f"scans{count}", count)
    outs = [folder / f"out{count}-{turn}" for turn in range(repeats)]
    return int(statistics.median(scored(scans, model, out).peak_bytes for out in outs))


def going_on(model: Path, folder: Path, count: int, repeats: int) -> dict[str, Any]:
    """Seconds to find and check a folder that is done; peak memory meanwhile."""
    scans, out = draw(folder / "many", count), folder / "out-many"
    first = scored(scans, model, out)
    again = [scored(scans, model, out) for _ in range(repeats)]
    found = [discovery_seconds(scans, out, count) for _ in range(repeats)]
    return {
        "first_seconds": first.seconds,
        "first_peak_bytes": first.peak_bytes,
        "seconds": statistics.median(used.seconds for used in again),
        "discovery_seconds": statistics.median(found),
        "peak_bytes": statistics.median(used.peak_bytes for used in again),
    }


def discovery_seconds(scans: Path, out: Path, count: int) -> float:
    """The search for scans alone."""
    start = time.perf_counter()
    found = scans_in(scans, out).scans
    took = time.perf_counter() - start
    if len(found) != count:
        sys.exit(f"{len(found)} scans were found, {count} were drawn")
    return took


def scored(scans: Path, model: Path, out: Path) -> Used:
    """One run of the command."""
    command = (Path(sys.executable).with_name("uad-infer"), scans, "--model", model, "--out", out)
    start = time.perf_counter()
    process = subprocess.Popen([*map(str, command), *OPTIONS], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, held_bytes(process.pid))
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        sys.exit(f"uad-infer ended with exit code {process.returncode}")
    return Used(time.perf_counter() - start, peak)


def held_bytes(pid: int) -> int:
    """What a process and its children hold now; of what several share, each holds a part."""
    held = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                used = process.memory_full_info()
                held += getattr(used, "pss", used.uss)  # only Linux tells what is shared
    return held


def printed(
    peaks: dict[int, int], growth: float, files: int, large: dict[str, Any]
) -> dict[str, str]:
    """The lines of the table."""
    return {
        **{f"peak memory, {count:,} scans": f"{mib(peak)}" for count, peak in peaks.items()},
        "growth": f"{growth:8.1%}  at most {MOST_GROWTH:.0%}",
        f"{files:,} files, scored": f"{large['first_seconds']:8.1f} s",
        "peak memory meanwhile": mib(large["first_peak_bytes"]),
        "found and checked again": f"{large['seconds']:8.1f} s  at most {MOST_SECONDS} s",
        "of which the search for files": f"{large['discovery_seconds']:8.1f} s",
        "peak memory meanwhile, again": mib(large["peak_bytes"]),
    }


def mib(count: float) -> str:
    """Bytes in words."""
    return f"{count / 2**20:8.1f} MiB"


if __name__ == "__main__":
    main(sys.argv[1:])
