"""Every scan of a study as images, before any division: what cross validation cuts its folds from.

Stored as a prepared study is, under data/<name>, so that every fold of every method reads the same
images. Its column `split` says nothing.
"""

import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from infer.errors import UnknownChoiceError
from train.data import (
    DataConfig,
    ImageRow,
    PreparedAnewError,
    SplitCase,
    Tables,
    data_hash,
    load_cases,
    load_rows,
    not_replaced,
    open_store,
    save_tables,
)
from train.datasets.case import Case
from train.datasets.catalog import dataset
from train.params import Params, build
from train.paths import data_folder
from train.stored_images import StoredImages
from train.storing import rows_of, store_images
from train.unfinished import path_in, tables_in, taking_the_place_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The cases of a study and all their images."""

    cases: list[Case]  # sorted by scan
    rows: list[ImageRow]
    images: StoredImages  # one per row
    hash: str  # of all this

    def of(self, cases: Collection[Case]) -> "Cut":
        """The images of some cases."""
        wanted = {case.scan for case in cases}
        at = [row for row, image in enumerate(self.rows) if image.scan in wanted]
        return Cut(
            images=self.images.of(np.array(at, np.int64)),
            abnormal=np.array([not self.rows[row].normal for row in at], bool),
            scans=[self.rows[row].scan for row in at],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Some of a pool's images."""

    images: StoredImages
    abnormal: np.ndarray  # which of them
    scans: list[Path]  # which scan each is of

    def rows_of(self, cases: Collection[Case]) -> np.ndarray:
        """Where the images of these cases are."""
        wanted = {case.scan for case in cases}
        return np.flatnonzero([scan in wanted for scan in self.scans])


def make_pool(params: Params, name: str) -> Pool:
    """Find and read every scan of a study, and store it under data/`name`.

    Raises:
        UnknownChoiceError: what the dataset holds depends on who is on which side.
    """
    data = params.block(DataConfig, "data")
    chosen = dataset(data.dataset)
    if chosen.dealt is not None:
        raise UnknownChoiceError(
            f"dataset {data.dataset!r} cannot be cross-validated: it makes scans for one division",
            hint="prepare and compare one division after another, with another split.seed",
        )
    options = build(chosen.options, data.options, where=f"{params.path}: data.options")
    folder = data_folder(name)
    with taking_the_place_of(folder) as partial:
        found = chosen.find(Path(data.source), options, partial / "scans")
        order = sorted(found, key=lambda case: path_in(folder, case.scan).as_posix())
        stored = store_images(partial, order, data, lambda line: print(line, file=sys.stderr))
        undivided = [SplitCase(case=it, split="train") for it in order if it.scan in stored]
        tables = Tables(cases=undivided, rows=rows_of(undivided, stored))
        save_tables(partial, tables_in(folder, tables))
    return load_pool(name)


def load_pool(name: str) -> Pool:
    """What `make_pool` stored, by the last that did: a second run of a study makes it again."""
    try:
        return _loaded(name)
    except PreparedAnewError:
        return _loaded(name)


def _loaded(name: str) -> Pool:
    with not_replaced(name):
        rows = load_rows(name)
        return Pool(
            cases=[it.case for it in load_cases(name)],
            rows=rows,
            images=StoredImages(open_store(name), np.arange(len(rows))),
            hash=data_hash(name),
        )
