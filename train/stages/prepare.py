"""Find a study's cases, divide them, and store the train and validation images: PARAMS_FILE.

Test scans are not read: what ships reads them itself. Nothing is written until all is well.
"""

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from train.command import run_stage
from train.data import SPLITS, DataConfig, ImageRow, Prepared, SplitCase, save
from train.datasets.case import BadDatasetError, Case
from train.datasets.catalog import dataset
from train.params import Params, build
from train.paths import data_folder
from train.protocol import SplitConfig, divide
from train.reading import Stored, read_all
from train.sufficiency import refuse_insufficient


def prepare(params: Params) -> None:
    """Write data/<study>, whole or not at all, and say what is in it."""
    folder = data_folder(params.study)
    _refuse_foreign(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        prepared = prepared_study(params, partial, report=_report)
        save(partial, prepared)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"{folder}: {summary(prepared)}")


def prepared_study(params: Params, partial: Path, *, report: Callable[[str], None]) -> Prepared:
    """All that is stored of a study; `partial` will become its folder.

    Raises:
        UadError: a number, the data or a split of it is not usable.
    """
    data = params.block(DataConfig, "data")
    config = params.block(SplitConfig, "split")
    chosen = dataset(data.dataset)
    options = build(chosen.options, data.options, where=f"{params.path}: data.options")
    cases = chosen.cases(Path(data.source), options, partial / "scans")
    divided = divide(cases, config)
    if chosen.dealt is not None:
        divided = chosen.dealt(divided, options, partial / "scans")
    wanted = [it.case for it in divided if it.split != "test"]
    stored = read_all(wanted, data, report)
    kept = [it for it in divided if it.split == "test" or it.case.scan in stored]
    normal = {it.split for it in kept if it.split != "test" and stored[it.case.scan].normal.any()}
    refuse_insufficient(kept, normal, config.scheme)
    prepared = _together(kept, stored)
    return _renamed(prepared, partial, data_folder(params.study))


def _refuse_foreign(folder: Path) -> None:
    """A study may replace its own data only: one called `raw` would remove what others read."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "cases.csv").exists():
        raise BadDatasetError(
            f"{folder} holds something that is not a prepared study",
            hint="give the study another name, or move the folder away",
        )


def summary(prepared: Prepared) -> str:
    """How many cases and images each split has, in words."""
    cases = Counter((it.split, it.case.normal) for it in prepared.cases)
    images = Counter(row.split for row in prepared.rows)
    return "; ".join(
        f"{split} {cases[split, True]} normal and {cases[split, False]} abnormal scans"
        + (f" ({images[split]} images)" if split != "test" else "")
        for split in SPLITS
    )


def _report(line: str) -> None:
    print(line, file=sys.stderr)


def _together(kept: list[SplitCase], stored: Mapping[Path, Stored]) -> Prepared:
    """Images in the order of splits, then of scans."""
    order = [it for split in SPLITS[:2] for it in kept if it.split == split]
    rows = [
        ImageRow(scan=it.case.scan, slice=at, split=it.split, normal=bool(normal))
        for it in order
        for at, normal in enumerate(stored[it.case.scan].normal, stored[it.case.scan].first)
    ]
    images = np.concatenate([stored[it.case.scan].images for it in order])
    return Prepared(cases=kept, rows=rows, images=images)


def _renamed(prepared: Prepared, partial: Path, folder: Path) -> Prepared:
    """The same, with scans that were made in `partial` named as they will be in `folder`."""

    def named(path: Path) -> Path:
        return folder / path.relative_to(partial) if path.is_relative_to(partial) else path

    def case_named(case: Case) -> Case:
        mask = None if case.mask is None else named(case.mask)
        return replace(case, scan=named(case.scan), mask=mask)

    return Prepared(
        cases=[SplitCase(case=case_named(it.case), split=it.split) for it in prepared.cases],
        rows=[replace(row, scan=named(row.scan)) for row in prepared.rows],
        images=prepared.images,
    )


if __name__ == "__main__":
    sys.exit(run_stage(prepare, sys.argv[1:]))
