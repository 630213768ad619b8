"""Validation AUROC of f-AnoGAN against the steps its generator was trained.

python -m benchmarks.fanogan_steps --params studies/head_ct/params.yaml --steps 100 200 400 800

One whole fit per number of steps, with every other number as the params file has it; test images
are never read. Each fit goes on where it was interrupted, and one that is kept is not repeated;
several processes may run at once, each with steps of its own.
Writes OUT/fanogan_steps_<study>.json and a curve, neither of which shows a scan.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from filelock import FileLock

from benchmarks.machine import cores, processor
from infer.writers.atomic import write_bytes
from train.data import data_hash, load_images
from train.fitting import fitted, task_of, training_images
from train.keeper import Keeper
from train.params import Params, load
from train.provenance import git_state

METHOD = "fanogan"
# Fixed beforehand: by image residual, with features, by strongest residual.
SHOWN = ("mean_square", "image_and_features", "strongest_7x7", "strongest_bright_7x7")


def main(arguments: Sequence[str]) -> None:
    """Fit at each number of steps, and draw what validation says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fanogan_steps")
    parser.add_argument("--params", default="params.yaml")
    parser.add_argument("--steps", type=int, nargs="+", required=True, help="of the generator")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    chosen = parser.parse_args(arguments)
    params = load(chosen.params)
    path = chosen.out / f"fanogan_steps_{params.study}.json"
    for steps in sorted(set(chosen.steps)):
        if str(steps) in _kept(path, params):
            continue
        with measured(params, steps, chosen.out) as point:
            add(path, params, steps, point)
        print(f"{steps} steps: {json.dumps(point)}")


def add(path: Path, params: Params, steps: int, point: Mapping[str, float]) -> None:
    """Put a point beside those that are kept, other processes' as well, and draw them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.stem}.lock")):
        points = {**_kept(path, params), str(steps): point}
        points = dict(sorted(points.items(), key=lambda it: int(it[0])))
        _write(path, params, points)
        draw(points, params.study, path.with_suffix(".png"))


@contextmanager
def measured(params: Params, steps: int, folder: Path) -> Iterator[dict[str, float]]:
    """What a fit of so many generator steps is worth on the validation images.

    The fit itself goes when that has been written down.
    """
    blocks = params.values["fit"]
    fit = {**blocks, METHOD: {**blocks[METHOD], "gan_steps": steps}}
    changed = Params(params.path, {**params.values, "fit": fit})
    train, train_abnormal = training_images(params.study, METHOD)
    validation, abnormal = load_images(params.study, "validation")
    keeper = Keeper(name="best", rule="auroc", score="", rows=np.arange(len(abnormal)))
    model = folder / f".{METHOD}_{params.study}_{steps}.safetensors"
    with fitted(
        task_of(changed, METHOD, data_hash(params.study), {}),
        shared={},
        train=train,
        train_abnormal=train_abnormal,
        validation=validation,
        abnormal=abnormal,
        keepers=[keeper],
        resume_path=model.with_suffix(".resume"),
        run_name=f"{METHOD}, {steps} generator steps",
        parent_run="",
        told={},
    ) as (session, run):
        result = session.keep(run, keeper, model, pictures=True)
        last = session.progress.history[-1]
        shown = {name: last[f"auroc_{name}"] for name in SHOWN if f"auroc_{name}" in last}
        yield {
            "best": result["validation_auroc"],
            **shown,
            "collapse_ratio": result["collapse_ratio"],
            "fit_seconds": result["fit_seconds"],
        }
        session.forget()
    model.unlink()


def draw(points: Mapping[str, Mapping[str, float]], study: str, path: Path) -> None:
    """AUROC over steps: the best look and recipe, and the fixed recipes at the end of the fit."""
    steps = [int(it) for it in points]
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    labels = {"best": "best look, best recipe"} | {name: f"{name}, at the end" for name in SHOWN}
    for name, label in labels.items():
        if all(name in point for point in points.values()):
            axes.plot(steps, [point[name] for point in points.values()], "o-", label=label)
    axes.set(title=f"f-AnoGAN, {study}", xlabel="steps of the generator", ylabel="validation AUROC")
    axes.set_xscale("log")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _identity(params: Params) -> dict[str, Any]:
    """What makes points comparable: the data, and every other number of the fit."""
    block, augment = params.values["fit"][METHOD], params.values["augment"]
    numbers = {name: value for name, value in block.items() if name != "gan_steps"}
    return {"data": data_hash(params.study), "numbers": numbers, "augment": augment}


def _kept(path: Path, params: Params) -> dict[str, Any]:
    """The points of an earlier run with the same data and numbers."""
    if not path.exists():
        return {}
    kept = json.loads(path.read_text(encoding="utf-8"))
    return dict(kept["steps"]) if kept["fit"] == _identity(params) else {}


def _write(path: Path, params: Params, points: Mapping[str, Any]) -> None:
    content = {
        "study": params.study,
        "commit": git_state().commit,
        "machine": f"{cores()} cores, {processor()}",
        "fit": _identity(params),
        "steps": points,
    }
    write_bytes(path, (json.dumps(content, indent=2) + "\n").encode())


if __name__ == "__main__":
    main(sys.argv[1:])
