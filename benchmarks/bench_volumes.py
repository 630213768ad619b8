"""`uad-infer` on .nii.gz volumes and DICOM series, against a plain script and the stages alone.

python -m benchmarks.bench_volumes [--models FILE …] [--volumes 160] [--series 8] [--repeats 3]

As `bench_infer`, for scans of many slices: whole processes are timed, which take turns; files are
in the page cache; the median counts.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import stages, volume_stages
from benchmarks.drawn_scans import draw_series, draw_volumes
from benchmarks.machine import cores, keep, processor, table
from benchmarks.turns import seconds, summary
from infer.engine import read_manifest

PLAIN_SCRIPT = Path(__file__).with_name("plain_volumes.py")
VOLUMES = 160
SERIES = 8
OF_VOLUME = (160, 256, 256)  # (depth, height, width)
OF_SERIES = (60, 512, 512)
USUAL = ("reading_alone", "writing_alone")
OWN = ("own_reading_alone", "own_writing_alone")


class Kind(NamedTuple):
    """Scans of one format, drawn, and how fast they can be read."""

    folder: Path
    scans: Sequence[Any]
    slices: int  # of a scan
    reading: Callable[[Sequence[Any]], float]
    own_reading: Callable[[Sequence[Any]], float]


def main(arguments: Sequence[str]) -> None:
    """Measure each model on each format and print one table for each."""
    chosen = parsed(arguments)
    if not chosen.models:
        sys.exit("no models/phantom/*.onnx here: run `make demo` first, or name --models")
    with tempfile.TemporaryDirectory() as folder:
        kinds = drawn(chosen.scans or Path(folder), chosen.volumes, chosen.series)
        results = {
            f"{model.parent.name}/{model.stem}": {
                name: measure(model, kind, Path(folder) / name, chosen.repeats)
                for name, kind in kinds.items()
            }
            for model in chosen.models
        }
    print(f"{cores()} cores, {processor()}: scans per second")
    for model, by_kind in results.items():
        for name, result in by_kind.items():
            print(printed(f"{model}, {name}", result))
    scans = {
        name: {"scans": len(kind.scans), "slices": kind.slices} for name, kind in kinds.items()
    }
    print(f"kept in {keep(chosen.name, {'of': scans, 'scans_per_second': results})}")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What to measure, on what."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_volumes")
    default = sorted(Path("models/phantom").glob("*.onnx"))
    parser.add_argument("--models", type=Path, nargs="+", default=default)
    parser.add_argument("--volumes", type=int, default=VOLUMES, help=".nii.gz, drawn; 0: none")
    parser.add_argument("--series", type=int, default=SERIES, help="of DICOM, drawn; 0: none")
    parser.add_argument("--scans", type=Path, help="folder that keeps what is drawn")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="volumes", help="of the JSON under benchmarks/results")
    return parser.parse_args(arguments)


def drawn(folder: Path, volumes: int, series: int) -> dict[str, Kind]:
    """Scans of each format that is wanted; what an earlier run has drawn there is used again."""
    kinds = {}
    if volumes:
        place = folder / f"{volumes}-volumes"
        kinds["nii.gz"] = Kind(
            place,
            found_in(place) or draw_volumes(place, volumes, OF_VOLUME),
            OF_VOLUME[0],
            volume_stages.reading,
            volume_stages.own_reading,
        )
    if series:
        place = folder / f"{series}-series"
        folders = found_in(place) or draw_series(place, series, OF_SERIES)
        kinds["dicom"] = Kind(
            place,
            [found_in(one) for one in folders],
            OF_SERIES[0],
            volume_stages.series_reading,
            volume_stages.own_series_reading,
        )
    return kinds


def found_in(place: Path) -> list[Path]:
    """What a folder holds; nothing if there is none."""
    return sorted(place.iterdir()) if place.exists() else []


def measure(model: Path, kind: Kind, folder: Path, repeats: int) -> dict[str, Any]:
    """All figures of one model on one format."""
    manifest = read_manifest(model)
    if manifest.patches is not None or manifest.preprocessing.acts or manifest.channels != 1:
        sys.exit(f"{model} is more than the plain script can do: it takes whole grey slices")
    command = Path(sys.executable).with_name("uad-infer")
    options = ("--overlays", "none", "--device", "cpu", "--quiet")
    turns: list[dict[str, float]] = []
    # Nothing is removed in between: file systems are slow to use again what was just deleted.
    for at in range(repeats):
        own = folder / f"{model.parent.name}-{model.stem}{at}"
        out, plain = own / "out", own / "plain"
        took = {
            "uad_infer": seconds(command, kind.folder, "--model", model, "--out", out, *options),
            "plain_script": seconds(sys.executable, PLAIN_SCRIPT, model, kind.folder, plain),
        }
        rates = {name: len(kind.scans) / it for name, it in took.items()}
        turns.append(rates | stage_limits(model, kind, out / "masks", own))
    return summary(turns, usual=USUAL, own=OWN)


def stage_limits(model: Path, kind: Kind, masks: Path, folder: Path) -> dict[str, float]:
    """Scans per second of each stage alone on all cores."""
    manifest = read_manifest(model)
    written = sorted(masks.rglob("*.nii.gz"))
    images = stages.model(
        model,
        channels=manifest.channels,
        image_size=manifest.image_size,
        images=kind.slices * len(kind.scans),
    )
    return {
        "model_alone": images / kind.slices,
        "reading_alone": kind.reading(kind.scans),
        "writing_alone": volume_stages.writing(written, folder / "by_nibabel"),
        "own_reading_alone": kind.own_reading(kind.scans),
        "own_writing_alone": volume_stages.own_writing(written, folder / "by_uad"),
    }


def printed(name: str, result: dict[str, Any]) -> str:
    """One model's figures on one format as a table."""
    names = {
        "uad_infer": "uad-infer",
        "plain_script": "plain script",
        "model_alone": "model alone",
        "reading_alone": "reading alone, usual libraries",
        "writing_alone": "encoding and writing alone, nibabel",
        "own_reading_alone": "reading alone, ours",
        "own_writing_alone": "encoding and writing alone, ours",
        "best_pipeline": "best pipeline of model and usual libraries",
        "best_own_pipeline": "best pipeline of model and ours",
        "times_plain_script": "uad-infer / plain script",
        "share_of_best": "uad-infer / best with usual libraries",
        "share_of_best_own": "uad-infer / best with ours",
    }
    return table(name, {said: f"{result[key]:8.2f}" for key, said in names.items()})


if __name__ == "__main__":
    main(sys.argv[1:])
