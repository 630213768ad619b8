"""A pool of drawn scans, near-duplicates in pairs, and the numbers of a cross validation of it."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.train.phantom_study import image_of
from tests.train.tiny_configs import tiny
from train.data import DataConfig, ImageRow, Prepared, SplitCase, save
from train.datasets.case import Case
from train.params import Params, load
from train.paths import data_folder
from train.pool import Pool, load_pool

NAME = "tiny.crossval"
REPOSITORY = Path(__file__).parents[2]
COUNTS = {True: 12, False: 8}  # scans, by whether they are normal
FOLDS = 3


def numbers(methods: tuple[str, ...] = ("cae",), **crossval: Any) -> Params:
    """The default study's, shrunk: three folds, tiny networks, the `crossval` block as given."""
    params = load(REPOSITORY / "params.yaml")
    values = dict(params.values)
    blocks = values["fit"]
    values["study"] = "tiny"
    values["data"] = {**values["data"], "image_size": [32, 32]}
    values["split"] = {**values["split"], "normal_folds": FOLDS}
    values["fit"] = {name: tiny(name, blocks[name]) for name in methods}
    values["scores"] = {name: values["scores"][name] for name in ("mean_square", "strongest_7x7")}
    values["evaluate"] = {**values["evaluate"], "resamples": 5}
    values["crossval"] = {
        **values["crossval"],
        "methods": list(methods),
        "blind_scores": dict.fromkeys(methods, "strongest_7x7"),
        **crossval,
    }
    return Params(params.path, values)


def make_tiny_pool(params: Params) -> Pool:
    """Write scans and tables into the working directory, as `train.pool.make_pool` does."""
    folder, data = data_folder(NAME), params.block(DataConfig, "data")
    scans = folder / "scans"
    scans.mkdir(parents=True)
    draw = np.random.default_rng(0)
    cases = sorted(
        (
            _draw_case(scans, at, draw, normal=normal)
            for normal, count in COUNTS.items()
            for at in range(count)
        ),
        key=lambda case: case.scan.as_posix(),
    )
    rows = [ImageRow(scan=it.scan, slice=0, split="train", normal=it.normal) for it in cases]
    images = np.concatenate([image_of(it.scan, data) for it in cases])
    undivided = [SplitCase(case=it, split="train") for it in cases]
    save(folder, Prepared(cases=undivided, rows=rows, images=images))
    return load_pool(NAME)


def _draw_case(folder: Path, at: int, draw: np.random.Generator, *, normal: bool) -> Case:
    pixels = draw.normal(100, 10, (36, 32))
    if not normal:
        pixels[8:16, 8:16] += 60
    kind = "normal" if normal else "abnormal"
    scan = folder / f"{kind}_{at:02}.png"
    cv2.imwrite(str(scan), np.clip(pixels, 0, 255).astype(np.uint8))
    return Case(scan=scan, group=f"{kind}_pair_{at // 2}", normal=normal, mask=None)
