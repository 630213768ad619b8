"""What the files of those scans and masks hold that validate and test a study.

reports/<study>/prepare/scans.csv, which the stage `prepare` writes. Test scans, and the masks by
which thresholds and metrics are told, are read where they lie, not from what is prepared. By this
table a result is known to be of them as they were. It does not lie among the prepared images: a fit
is not of test scans, and another test mask is no reason to fit again.

<source>, as DVC watches it, is what lies in it: not what a link to a folder inside it leads to, nor
the scans that a table names. By this table, DVC sees that those have changed once `prepare` is run.
"""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infer.cores import cores
from infer.digest import digest, digest_of_files
from infer.readers.nifti_file import files_of
from infer.writers.atomic import write_bytes
from train.data import SplitCase
from train.paths import scans_table

COLUMNS = ("scan", "split", "sha256", "mask_sha256")


def files_of_scan(scan: Path) -> list[Path]:
    """Those that exist, of a picture, a pair or a series: what is missing, its reader says."""
    files = scan.rglob("*") if scan.is_dir() else files_of(scan)
    return sorted(file for file in files if file.is_file())


def save_digests(study: str, cases: Sequence[SplitCase]) -> None:
    """Write the table for a study that has just been prepared: what trains is in its images."""
    cases = [it for it in cases if it.split != "train"]
    paths = [it.case.scan for it in cases] + [it.case.mask for it in cases if it.case.mask]
    unique = sorted(set(paths))
    with ThreadPoolExecutor(cores()) as pool:  # hashing lets other threads run
        found = dict(zip(unique, pool.map(_digest_of, unique), strict=True))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for it in cases:
        mask = found[it.case.mask] if it.case.mask else ""
        writer.writerow((it.case.scan.as_posix(), it.split, found[it.case.scan], mask))
    write_bytes(scans_table(study), text.getvalue().encode())


def unfitted_digest(study: str) -> str:
    """One name for the files that validate and test; "" if none were written down."""
    path = scans_table(study)
    if not path.exists():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        lines = sorted([it[name] for name in COLUMNS] for it in csv.DictReader(file))
    return digest(repr(lines).encode())


def unwatched(source: Path, cases: Iterable[SplitCase], *, drawn: Path, params_file: str) -> str:
    """In words: which scans or masks DVC does not look at when it looks at `source`; "" if none.

    Args:
        drawn: the folder of those that were made, which DVC knows as what a stage has made.
        params_file: the study's, beside which its pipeline lies.
    """
    every = [path for it in cases for path in (it.case.scan, it.case.mask) if path is not None]
    paths = [path for path in every if not _is_in(path, drawn)]
    outside = [path for path in paths if not _is_in(path, source)]
    if outside:
        return (
            f"DVC watches {source}, but not {outside[0]} ({len(outside)} such), which only a table "
            f"names: {_again(params_file)}"
        )
    links: dict[Path, int] = {}
    for path in paths:
        for folder in _folders_between(source, path):
            if folder.is_symlink():
                links[folder] = links.get(folder, 0) + 1
                break
    if not links:
        return ""
    count = sum(links.values())
    return (
        f"{next(iter(links))} is a link to a folder, and DVC does not look behind it "
        f"({count} scans and masks lie behind such links): {_again(params_file)}"
    )


def _again(params_file: str) -> str:
    """What to type when DVC could not see a change."""
    folder = Path(params_file).parent
    stage, study = "prepare", ""
    if folder != Path():
        study = f" {(folder / 'dvc.yaml').as_posix()}"
        stage = f"{study.strip()}:prepare"
    return f"after a change of them, run `dvc repro -f -s {stage} && dvc repro{study}`"


def _digest_of(scan: Path) -> str:
    return digest_of_files(files_of_scan(scan))


def _is_in(path: Path, folder: Path) -> bool:
    """By their names: a linked file is where its link is, as it is to DVC."""
    return _named(path).is_relative_to(_named(folder))


def _named(path: Path) -> Path:
    """By one name, but where it is, not where links lead."""
    return Path(os.path.normpath(Path.cwd() / path))


def _folders_between(source: Path, path: Path) -> list[Path]:
    """The folders below `source` that lead to `path`, which may be one itself; outermost first."""
    inside = _named(path).relative_to(_named(source)).parts
    steps = [source.joinpath(*inside[: at + 1]) for at in range(len(inside))]
    return steps if path.is_dir() else steps[:-1]
