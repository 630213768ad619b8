"""`uad-infer` against a plain script and against the best that this machine's stages allow.

python -m benchmarks.bench_infer [--models FILE …] [--scans FOLDER] [--device cpu|cuda]

Whole processes are timed, from PNG slices to written masks and CSV. All that is compared takes
turns: a machine that slows down or is shared then does so for all. Files are in the page cache. The
median counts.
"""

import argparse
import itertools
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import stages
from benchmarks.machine import cores, keep, processor, table
from benchmarks.turns import seconds, summary
from infer.engine import read_manifest
from infer.phantom import brain_window, head

PLAIN_SCRIPT = Path(__file__).with_name("plain_script.py")
SLICES = 5000
DRAWN = 100  # different heads; each is then written ten times, mirrored, shifted in brightness
# What a pipeline of the usual libraries would consist of beside the model, and what ours does.
BY_OPENCV = ("decoding_alone", "encoding_alone")
BY_UAD = ("own_decoding_alone", "own_encoding_alone")
SIZE = (436, 345)  # (height, width): the median of the head-CT set


def main(arguments: Sequence[str]) -> None:
    """Measure each model and print one table."""
    chosen = parsed(arguments)
    if not chosen.models:
        sys.exit("no models/phantom/*.onnx here: run `make demo` first, or name --models")
    with tempfile.TemporaryDirectory() as folder:
        scans = Path(folder) / "scans"
        if chosen.scans:
            copy_slices(chosen.scans, scans, chosen.slices)
        else:
            draw_slices(scans, chosen.slices)
        results = {
            f"{model.parent.name}/{model.stem}": measure(
                model, scans, Path(folder), chosen.device, chosen.repeats
            )
            for model in chosen.models
        }
    title = f"{chosen.slices} slices, {chosen.device}, {cores()} cores, {processor()}"
    print(f"{title}: images per second")
    print("\n".join(printed(name, result) for name, result in results.items()))
    made = {"slices": chosen.slices, "device": chosen.device, "images_per_second": results}
    kept = keep(chosen.name, made)
    print(f"kept in {kept}")


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """What to measure, on what."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench_infer")
    default = sorted(Path("models/phantom").glob("*.onnx"))
    parser.add_argument("--models", type=Path, nargs="+", default=default)
    parser.add_argument("--scans", type=Path, help="folder of PNG slices; drawn if not given")
    parser.add_argument("--slices", type=int, default=SLICES)
    parser.add_argument("--device", choices=stages.PROVIDERS, default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--name", default="infer", help="of the JSON under benchmarks/results")
    return parser.parse_args(arguments)


def copy_slices(found: Path, scans: Path, count: int) -> None:
    """`count` PNG files under names of their own, from a folder that may hold fewer."""
    scans.mkdir()
    sources = sorted(found.rglob("*.png"))
    if not sources:
        sys.exit(f"no PNG files under {found}")
    for at, source in zip(range(count), itertools.cycle(sources), strict=False):
        shutil.copyfile(source, scans / f"{at:05}.png")


def draw_slices(scans: Path, count: int) -> None:
    """Slices that differ, as PNG files; drawing is slow, so heads are used again, changed."""
    scans.mkdir()
    heads = [
        brain_window(head(seed, size=SIZE, lesions=("bleed",) if seed % 2 else ()).voxels_hu)
        for seed in range(min(DRAWN, count))
    ]
    for at in range(count):
        picture = heads[at % len(heads)]
        turn = at // len(heads)
        changed = cv2.add(picture[:, :: -1 if turn % 2 else 1], np.full_like(picture, turn))
        cv2.imwrite(str(scans / f"{at:05}.png"), changed)


def measure(model: Path, scans: Path, folder: Path, device: str, repeats: int) -> dict[str, Any]:
    """All figures of one model."""
    if read_manifest(model).patches is not None:
        sys.exit(f"{model} takes patches, the plain script that it is compared with whole slices")
    command = Path(sys.executable).with_name("uad-infer")
    options = ("--model", model, "--overlays", "none", "--device", device, "--quiet")
    first, *others = sorted(scans.iterdir())
    count = 1 + len(others)
    turns: list[dict[str, float]] = []
    # Nothing is removed in between: file systems are slow to use again what was just deleted.
    for at in range(repeats):
        own = folder / f"{model.stem}{at}"
        out, plain = own / "out", own / "plain"
        took = {
            "uad_infer": seconds(command, scans, "--out", out, *options),
            "plain_script": seconds(sys.executable, PLAIN_SCRIPT, model, scans, plain, device),
        }
        rates = {name: count / it for name, it in took.items()}
        alone = {"one_slice_seconds": seconds(command, first, "--out", own / "one", *options)}
        turns.append(rates | alone | stage_limits(model, scans, out / "masks", own, device))
    return summary(turns, usual=BY_OPENCV, own=BY_UAD)


def stage_limits(
    model: Path, scans: Path, masks: Path, folder: Path, device: str
) -> dict[str, float]:
    """Images per second of each stage alone on all cores."""
    manifest = read_manifest(model)
    files, written = sorted(scans.iterdir()), sorted(masks.rglob("*.png"))
    return {
        "model_alone": stages.model(
            model,
            channels=manifest.channels,
            image_size=manifest.image_size,
            images=len(files),
            device=device,
        ),
        "decoding_alone": stages.decoding(files),
        "encoding_alone": stages.encoding(written, folder / "by_opencv"),
        "own_decoding_alone": stages.own_decoding(files),
        "own_encoding_alone": stages.own_encoding(written, folder / "by_uad"),
    }


def printed(name: str, result: dict[str, Any]) -> str:
    """One model's figures as a table."""
    rows = {
        "uad-infer": f"{result['uad_infer']:8.0f}",
        "plain script": f"{result['plain_script']:8.0f}",
        "model alone": f"{result['model_alone']:8.0f}",
        "decoding alone, OpenCV": f"{result['decoding_alone']:8.0f}",
        "encoding and writing alone, OpenCV": f"{result['encoding_alone']:8.0f}",
        "decoding alone, ours": f"{result['own_decoding_alone']:8.0f}",
        "encoding and writing alone, ours": f"{result['own_encoding_alone']:8.0f}",
        "best pipeline of model and OpenCV": f"{result['best_pipeline']:8.0f}",
        "best pipeline of model and ours": f"{result['best_own_pipeline']:8.0f}",
        "uad-infer / plain script": f"{result['times_plain_script']:8.2f}",
        "uad-infer / best with OpenCV": f"{result['share_of_best']:8.2f}",
        "uad-infer / best with ours": f"{result['share_of_best_own']:8.2f}",
        "uad-infer / model alone": f"{result['share_of_model']:8.2f}",
        "seconds for one slice, from start to end": f"{result['one_slice_seconds']:8.2f}",
    }
    return table(name, rows)


if __name__ == "__main__":
    main(sys.argv[1:])
