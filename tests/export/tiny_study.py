"""A prepared study of a few drawn scans with an unfitted autoencoder, on disk."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn

from infer.images import images_of
from infer.readers import read
from tests.train.methods import test_fanogan
from tests.train.methods.test_cae import TINY, cae
from train import checkpoint
from train.data import DataConfig, ImageRow, Prepared, SplitCase, data_hash, save
from train.datasets.case import Case
from train.params import Params, load
from train.paths import checkpoint_path, data_folder, report_folder
from train.scores import ScoreRecipe

STUDY = "tiny"
REPOSITORY = Path(__file__).parents[2]
COUNTS = {"train": (4, 0), "validation": (6, 4), "test": (5, 5)}  # normal, abnormal
ANOTHER_STORE = "a run of another store"
RECIPE = ScoreRecipe(
    polarity="bright",
    denoising_px=1,
    standardised=False,
    smoothing_px=1,
    power=1,
    top_share=0.02,
    parts={},
    typicality="none",
)


def make_study() -> Params:
    """Write scans, tables, a checkpoint and a fit's report into the working directory."""
    params = write_params()
    data = params.block(DataConfig, "data")
    scans = data_folder(STUDY) / "scans"
    scans.mkdir(parents=True)
    draw = np.random.default_rng(0)
    cases = [
        SplitCase(case=_draw_case(scans, f"{split}_{at}", draw, normal=at < normal), split=split)
        for split, (normal, abnormal) in COUNTS.items()
        for at in range(normal + abnormal)
    ]
    seen = [it for it in cases if it.split != "test"]
    images = [_image(it.case, data) for it in seen]
    rows = [
        ImageRow(scan=it.case.scan, slice=0, split=it.split, normal=it.case.normal) for it in seen
    ]
    save(data_folder(STUDY), Prepared(cases=cases, rows=rows, images=np.concatenate(images)))
    torch.manual_seed(0)
    write_fit("cae", cae(), TINY)
    return params


def make_study_of_two(slice_score: str = "graph") -> Params:
    """The same with a second method, and with both in one file, `both`."""
    make_study()
    write_fit("fanogan", test_fanogan.fanogan().eval(), test_fanogan.TINY)
    text = Path("params.yaml").read_text().replace("  - cae\n", "  - cae\n  - fanogan\n")
    text = text.replace("ensembles: {}", "ensembles: {both: {members: [cae, fanogan]}}")
    Path("params.yaml").write_text(
        text.replace("slice_score: graph", f"slice_score: {slice_score}")
    )
    return load("params.yaml")


def write_params() -> Params:
    """The repository's own numbers, but for a small study of one method."""
    text = (REPOSITORY / "params.yaml").read_text()
    changed = text.replace("study: phantom", f"study: {STUDY}").replace("  - fanogan\n", "")
    changed = changed.replace("image_size: [64, 64]", "image_size: [32, 32]")
    changed = changed.replace("resamples: 500", "resamples: 20")
    Path("params.yaml").write_text(changed)
    return load("params.yaml")


def _draw_case(folder: Path, name: str, draw: np.random.Generator, *, normal: bool) -> Case:
    pixels = draw.normal(100, 10, (40, 44))
    mask = np.zeros(pixels.shape, np.uint8)
    if not normal:
        mask[10:18, 12:20] = 255
    scan, mask_path = folder / f"{name}.png", folder / f"{name}_mask.png"
    cv2.imwrite(str(scan), np.clip(pixels + mask * 0.3, 0, 255).astype(np.uint8))
    if not normal:
        cv2.imwrite(str(mask_path), mask)
    return Case(scan=scan, group=name, normal=normal, mask=None if normal else mask_path)


def _image(case: Case, data: DataConfig) -> np.ndarray:
    return images_of(
        read(case.scan),
        channels=data.channels,
        intensity=data.intensity.to_range(0.0, 1.0),
        preprocessing=data.preprocessing,
        plane=data.plane,
        image_size=data.image_size,
    )


def write_fit(
    method: str, model: nn.Module, config: dict[str, Any], run_id: str = ANOTHER_STORE
) -> None:
    """What the stage `fit` would leave of a method, but for the fitting."""
    metadata = {
        "study": STUDY,
        "method": method,
        "run_id": run_id,
        "score": "bright",
        "score_recipe": json.dumps(asdict(RECIPE)),
        "config": json.dumps(config),
        "seed": "0",
        "data_hash": data_hash(STUDY),
    }
    checkpoint.save(checkpoint_path(STUDY, method), model, metadata)
    report = report_folder(STUDY, "fit") / f"{method}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text('{"fit_seconds": 12.3}')
