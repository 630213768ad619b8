"""Does memory stay flat however many volumes are prepared, and does a fit wait for a store on disk?

python -m benchmarks.prepare_volumes [--volumes 12] [--side 256] [--noise 0]

`prepare` runs on so many drawn .nii.gz volumes and on four times as many; peak memory is what it
and all processes that it starts hold together, what they share counted once. Beside it, how fast
all cores merely inflate the same files with the same decoder.

Then a store of each type is drawn, dropped from the system's cache, and an autoencoder takes steps
on it in a process that may hold no more than `--limit` MiB of its own: the system refuses it more.
The share of these steps' time that is spent waiting is measured as a fit measures it.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ruamel.yaml import YAML

from benchmarks.drawn_scans import draw_volumes
from benchmarks.inflating import open_inflating
from benchmarks.machine import cores, keep, processor, table
from benchmarks.memory import LOOK_SECONDS, held_bytes, mib
from infer.executors.processes import ProcessExecutor
from train.stored_images import StoredImages, StoreType, as_stored

ROOT = Path(__file__).parents[1]
STUDY = "volumes"
TIMES = 4  # as many volumes, in the larger run
ABNORMALS = 2  # which a split asks for
STORES: tuple[StoreType, ...] = ("float32", "float16", "uint8")
BATCH = 16
WIDTH = 4  # of the autoencoder
MOST_GROWTH = 0.10
AT_ONCE = 256  # rows of a drawn store


class Prepared(NamedTuple):
    """What one run of `prepare` took."""

    scans: int  # that were read: of those of the test, nothing is stored
    seconds: float
    peak_bytes: int


def main(arguments: Sequence[str]) -> None:
    """Measure, print one table, keep it."""
    chosen = parsed(arguments)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        if chosen.fit:
            print(json.dumps(fitted(Path(chosen.fit), chosen.steps, chosen.limit)))
            return
        side = chosen.side
        count, shape = TIMES * chosen.volumes, (side, side, side)
        drawn = draw_volumes(Path(place) / "drawn", count, shape, noise_hu=chosen.noise)
        packed = sum(it.stat().st_size for it in drawn) / len(drawn) / (2 * side**3)
        few, many = (
            prepared(Path(place) / f"{len(scans)}", scans, chosen.image)
            for scans in (drawn[: chosen.volumes], drawn)
        )
        inflating = inflated(drawn)
        waits: dict[str, Any] = {it: waiting(Path(place), it, chosen) for it in STORES}
    # The start takes its second once, of fifty volumes as of thousands.
    further = (many.seconds - few.seconds) / (many.scans - few.scans)
    result = {
        "volumes": f"{chosen.side}³ int16 .nii.gz",
        "noise_hu": chosen.noise,
        "packed_share": packed,
        "prepare": {"few": few._asdict(), "many": many._asdict()},
        "growth": many.peak_bytes / few.peak_bytes - 1,
        "seconds_per_volume": many.seconds / many.scans,
        "inflating_seconds_per_volume": inflating,
        "rate_to_inflating": inflating / (many.seconds / many.scans),
        "seconds_per_further_volume": further,
        "further_rate_to_inflating": inflating / further,
        "fit": {"limit_mib": chosen.limit, "steps": chosen.steps, "batch": BATCH, **waits},
    }
    title = f"{chosen.side}³ volumes, {cores()} cores, {processor()}"
    print(table(title, printed(result, few, many)))
    print(f"kept in {keep(chosen.name, result)}")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What to measure, on what."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prepare_volumes")
    parser.add_argument("--volumes", type=int, default=12, help="and four times as many")
    parser.add_argument("--side", type=int, default=256, help="of a volume, in voxels")
    parser.add_argument("--noise", type=float, default=0.0, help="HU, beyond the phantom's own")
    parser.add_argument("--image", type=int, default=128, help="side of what prepare stores")
    parser.add_argument("--rows", type=int, default=6_144, help="of 256 × 256, of a drawn store")
    parser.add_argument("--steps", type=int, default=30, help="of an autoencoder")
    parser.add_argument("--limit", type=int, default=1_024, help="MiB that a fit may hold")
    parser.add_argument("--folder", type=Path, help="where there is room for drawn stores")
    parser.add_argument("--fit", default="", help=argparse.SUPPRESS)  # in a process of its own
    parser.add_argument("--name", default="prepare_volumes", help="of the JSON in results")
    return parser.parse_args(arguments)


def prepared(folder: Path, drawn: Sequence[Path], image: int) -> Prepared:
    """Run the stage on a folder of volumes."""
    for name, scans in (("normal", drawn), ("abnormal", drawn[:ABNORMALS])):
        (folder / name).mkdir(parents=True)
        for scan in scans:
            (folder / name / scan.name).hardlink_to(scan)
    write_params(folder, image)
    command = [sys.executable, "-m", "train.stages.prepare", "params.yaml"]
    start, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, held_bytes(process.pid))
        time.sleep(LOOK_SECONDS)
    if process.returncode:
        sys.exit(f"prepare ended with exit code {process.returncode}")
    cases = (folder / "data" / STUDY / "cases.csv").read_text().splitlines()[1:]
    return Prepared(len(cases), time.perf_counter() - start, peak)


def write_params(folder: Path, image: int) -> None:
    """The default study's numbers, for a folder of volumes."""
    yaml = YAML(typ="safe", pure=True)
    values = yaml.load((ROOT / "params.yaml").read_text())
    values["study"] = STUDY
    values["data"] |= {
        "dataset": "folder",
        "source": ".",
        "image_size": [image, image],
        "store": "uint8",
        "smallest_foreground": 0.01,
        "options": {},
    }
    with (folder / "params.yaml").open("w") as file:
        yaml.dump(values, file)


def environment() -> dict[str, str]:
    """Ours, with the repository to import from."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def inflated(paths: Sequence[Path]) -> float:
    """Seconds that inflating a volume takes with all cores at work, their start included."""
    start = time.perf_counter()
    executor = ProcessExecutor(cores(), lambda worker: worker)
    read = sum(1 for _ in executor.map(open_inflating, paths))
    return (time.perf_counter() - start) / read


def waiting(folder: Path, kind: StoreType, chosen: argparse.Namespace) -> dict[str, Any]:
    """What a fit on a store of this type takes and waits, in a process of its own."""
    path = draw_store(folder / f"{kind}.npy", kind, chosen.rows)
    size = path.stat().st_size
    command = [sys.executable, "-m", "benchmarks.prepare_volumes", "--fit", str(path)]
    options = ["--steps", str(chosen.steps), "--limit", str(chosen.limit)]
    done = subprocess.run(
        [*command, *options], env=environment(), cwd=ROOT, capture_output=True, text=True
    )
    path.unlink()
    if done.returncode:
        sys.exit(done.stderr)
    return {"store_bytes": size, **json.loads(done.stdout.splitlines()[-1])}


def draw_store(path: Path, kind: StoreType, rows: int) -> Path:
    """Noise of 256 × 256 pixels, on the disk and not in the system's cache."""
    shape = (rows, 1, 256, 256)
    store = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    noise = np.random.default_rng(0)
    for start in range(0, rows, AT_ONCE):
        some = noise.random((min(AT_ONCE, rows - start), *shape[1:]), np.float32)
        store[start : start + AT_ONCE] = as_stored(some, kind)
    store.flush()
    del store
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return path


def fitted(path: Path, steps: int, limit_mib: int) -> dict[str, Any]:
    """Take steps on a store that is not read whole, holding no more than the limit."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit_mib * 2**20,) * 2)
    import torch
    from lightning_fabric import Fabric

    from train.augment import Augmentation, AugmentConfig
    from train.batches import Batches
    from train.loops.gradient import gradient_step
    from train.methods.cae import Cae, CaeConfig
    from train.params import load

    params = load(ROOT / "params.yaml")
    # Small, so that a step is short: the harder it is not to wait for images.
    config = replace(params.block(CaeConfig, "fit", "cae"), width=WIDTH, latent=WIDTH)
    fabric = Fabric(accelerator="cpu", devices=1, precision="32-true")
    fabric.launch()
    model = Cae(config, 1, (256, 256))
    optimizer = model.optimizers()["model"]
    store = np.asarray(np.load(path, mmap_mode="r"))
    images = StoredImages(store, np.arange(len(store)))
    batches = Batches(
        images,
        BATCH,
        change=Augmentation(params.block(AugmentConfig, "augment"), 1, 2),
        intensity_range=config.intensity_range,
        device=torch.device("cpu"),
    )
    took, held = [], []
    waits = batches.waited
    for _ in range(steps):
        start = time.perf_counter()
        gradient_step(fabric, model.training_loss, optimizer, next(batches))
        took.append(time.perf_counter() - start)
        held.append(own_bytes())
    return {
        "data_wait_share": (batches.waited - waits) / sum(took),
        "seconds_per_step": statistics.median(took),
        "held_bytes": max(held),
        "whole_store_fits": _fits(images),
    }


def own_bytes() -> int:
    """What this process holds, but for pages of files, which the system may drop at any time."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(found) * 1024


def _fits(images: StoredImages) -> bool:
    """Whether all of it could be had as a fit had it before: as one array of float32."""
    try:
        return bool(len(images[:]))
    except MemoryError:
        return False


def printed(result: Mapping[str, Any], few: Prepared, many: Prepared) -> dict[str, str]:
    """The lines of the table."""
    lines = {f"peak memory, {it.scans} volumes": f"{mib(it.peak_bytes)}" for it in (few, many)}
    lines |= {
        "growth": f"{result['growth']:8.1%}  at most {MOST_GROWTH:.0%}",
        "seconds per volume": f"{result['seconds_per_volume']:8.2f}",
        "of merely inflating": f"{result['inflating_seconds_per_volume']:8.2f}",
        "rate, of that of inflating": f"{result['rate_to_inflating']:8.2f}",
        "packed to, of their size": f"{result['packed_share']:8.1%}",
        "rate without the start": f"{result['further_rate_to_inflating']:8.2f}",
        "a fit may hold": mib(result["fit"]["limit_mib"] * 2**20),
    }
    for kind in STORES:
        found = result["fit"][kind]
        lines[f"{kind}: its store"] = mib(found["store_bytes"])
        lines[f"{kind}: a fit holds"] = mib(found["held_bytes"])
        lines[f"{kind}: a step"] = f"{found['seconds_per_step']:8.3f} s"
        lines[f"{kind}: of which waiting"] = f"{found['data_wait_share']:8.2%}"
    return lines


if __name__ == "__main__":
    main(sys.argv[1:])
