"""Find a study's cases, divide them, and store the train and validation images: PARAMS_FILE.

Of test scans nothing is stored, as what ships reads them itself: they and their masks are only
looked at, so that one which cannot be read is known before anything is fitted. Images go to the
disk as scans are read, into data/.<study>.partial, which takes the place of data/<study> when all
is well; stopped before that, the same command goes on where it was.
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from train.command import run_stage
from train.data import SPLITS, DataConfig, Tables, save_tables
from train.datasets.case import BadDatasetError
from train.datasets.catalog import dataset
from train.params import Params, build
from train.paths import data_folder, scans_table
from train.prepared_with import save_numbers
from train.protocol import SplitConfig, divide
from train.scan_files import save_digests, unwatched
from train.storing import rows_of, store_images
from train.sufficiency import refuse_insufficient, refuse_one_sided
from train.unfinished import tables_in, taking_the_place_of


def prepare(params: Params) -> None:
    """Write data/<study>, whole or not at all, and what its scans held; say what is in it."""
    folder = data_folder(params.study)
    _refuse_foreign(folder)
    with taking_the_place_of(folder) as partial:
        prepared = tables_in(folder, prepared_study(params, partial, report=_report))
        # Killed before there is another, a study has none, not one of other files.
        scans_table(params.study).unlink(missing_ok=True)
        save_tables(partial, prepared)
        save_numbers(partial, params.block(DataConfig, "data"))
    save_digests(params.study, prepared.cases)
    source = Path(params.block(DataConfig, "data").source)
    if said := unwatched(source, prepared.cases, drawn=folder, params_file=params.path):
        _report(f"warning: {said}")
    print(f"{folder}: {summary(prepared)}")


def prepared_study(params: Params, partial: Path, *, report: Callable[[str], None]) -> Tables:
    """Write the images of a study into `partial`, which will become its folder; their tables.

    Raises:
        UadError: a number, the data or a split of it is not usable.
    """
    data = params.block(DataConfig, "data")
    config = params.block(SplitConfig, "split")
    chosen = dataset(data.dataset)
    options = build(chosen.options, data.options, where=f"{params.path}: data.options")
    cases = chosen.find(Path(data.source), options, partial / "scans")
    divided = divide(cases, config)
    if chosen.dealt is not None:
        divided = chosen.dealt(divided, options, partial / "scans")
    refuse_one_sided(divided, config.scheme)
    order = [it for split in SPLITS[:2] for it in divided if it.split == split]
    tested = [it.case for it in divided if it.split == "test"]
    stored = store_images(partial, [it.case for it in order], data, report, tested=tested)
    kept = [it for it in divided if it.case.scan in stored]
    rows = rows_of([it for it in order if it.case.scan in stored], stored)
    refuse_insufficient(kept, {row.split for row in rows if row.normal}, config.scheme)
    return Tables(cases=kept, rows=rows)


def _refuse_foreign(folder: Path) -> None:
    """A study may replace its own data only: one called `raw` would remove what others read."""
    if folder.exists() and any(folder.iterdir()) and not (folder / "cases.csv").exists():
        raise BadDatasetError(
            f"{folder} holds something that is not a prepared study",
            hint="give the study another name, or move the folder away",
        )


def summary(prepared: Tables) -> str:
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


if __name__ == "__main__":
    sys.exit(run_stage(prepare, sys.argv[1:]))
