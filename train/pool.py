"""Every scan of a study as images, before any division: what cross validation cuts its folds from.

Stored as a prepared study is, under data/<name>, so that every fold of every method reads the same
images. Its column `split` says nothing.
"""

import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infer.shapes import Images
from train.data import (
    DataConfig,
    ImageRow,
    Prepared,
    SplitCase,
    data_hash,
    load_cases,
    load_rows,
    save,
)
from train.datasets.case import Case
from train.datasets.catalog import dataset
from train.params import Params, build
from train.paths import data_folder
from train.reading import read_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The cases of a study and all their images."""

    cases: list[Case]  # sorted by scan
    rows: list[ImageRow]
    images: Images  # one per row, in [0, 1]
    hash: str  # of all this

    def of(self, cases: Collection[Case]) -> "Cut":
        """The images of some cases."""
        wanted = {case.scan for case in cases}
        at = [row for row, image in enumerate(self.rows) if image.scan in wanted]
        return Cut(
            images=self.images[at],
            abnormal=np.array([not self.rows[row].normal for row in at], bool),
            scans=[self.rows[row].scan for row in at],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Some of a pool's images."""

    images: Images
    abnormal: np.ndarray  # which of them
    scans: list[Path]  # which scan each is of

    def rows_of(self, cases: Collection[Case]) -> np.ndarray:
        """Where the images of these cases are."""
        wanted = {case.scan for case in cases}
        return np.flatnonzero([scan in wanted for scan in self.scans])


def make_pool(params: Params, name: str) -> Pool:
    """Find and read every scan of a study, and store it under data/`name`."""
    data = params.block(DataConfig, "data")
    chosen = dataset(data.dataset)
    options = build(chosen.options, data.options, where=f"{params.path}: data.options")
    folder = data_folder(name)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    found: Sequence[Case] = chosen.cases(Path(data.source), options, folder / "scans")
    stored = read_all(found, data, lambda line: print(line, file=sys.stderr))
    cases = sorted((it for it in found if it.scan in stored), key=lambda case: case.scan.as_posix())
    rows = [
        ImageRow(scan=it.scan, slice=at, split="train", normal=bool(normal))
        for it in cases
        for at, normal in enumerate(stored[it.scan].normal, stored[it.scan].first)
    ]
    images = np.concatenate([stored[it.scan].images for it in cases])
    undivided = [SplitCase(case=it, split="train") for it in cases]
    save(folder, Prepared(cases=undivided, rows=rows, images=images))
    return load_pool(name)


def load_pool(name: str) -> Pool:
    """What `make_pool` stored."""
    return Pool(
        cases=[it.case for it in load_cases(name)],
        rows=load_rows(name),
        images=np.load(data_folder(name) / "images.npy"),
        hash=data_hash(name),
    )
