"""Every group tested once: all methods and baselines of a study, group by group, in one table.

`python -m export.stages.rotate studies/brats2015/params.yaml [--methods vae,dae] [--only-table]
[--keep]`

For `split.scheme: leave_one_out`, of which one fold is one patient. Each fold is a study of its
own, `<study>_fold0` and so on: data, models, reports and MLflow runs lie under its name, and every
stage runs as `dvc repro` would run it, in a process of its own. What is done and fits numbers and
data is not run again; an interrupted fit goes on where it was.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from export import kept_voxels, registry, rotation, rotation_text, where_files
from export.baseline_row import measure_baseline
from export.baselines import baselines
from export.copied_study import refuse_copies
from export.kept_tables import keep_tables
from export.rotation import GroupTest
from infer.cores import cores
from infer.errors import UadError
from train.command import run_stage
from train.data import data_hash, load_cases, load_rows, open_images
from train.metrics import Bootstrap
from train.orphans import WITH_INPUT
from train.params import BadParamsError, Params
from train.paths import checkpoint_path, report_folder
from train.protocol import SplitConfig
from train.provenance import git_state
from train.scan_files import unfitted_digest

TITLE = "Results, each group tested once"


def rotate(params: Params, methods: Sequence[str], *, fits: bool, command: str, keep: bool) -> None:
    """Run what is missing, write the table, tell MLflow.

    Args:
        methods: of the study's, those to fit; empty: all.
        fits: whether to run what is missing; else the table is made of what is there.

    Raises:
        BadParamsError: the study does not leave one group out, or names no such method.
    """
    refuse_copies(params)
    if params.block(SplitConfig, "split").scheme != "leave_one_out":
        raise BadParamsError(
            f"{params.path}: split.scheme is not leave_one_out: there is nothing to rotate",
            hint="`python -m export.stages.crossval` is for studies in folds",
        )
    if unknown := set(methods) - set(params.models):
        raise BadParamsError(
            f"{params.path} does not fit {', '.join(sorted(unknown))}",
            hint=f"it names {', '.join(params.models)}",
        )
    folder = report_folder(params.study, "rotate")
    if fits:
        _run(params, methods or params.models, folder)
    tests = _usable(params, sorted(folder.glob("*/fold*.json")))
    if not tests:
        raise BadParamsError("no test is done", hint="run it without --only-table")
    seen = {it.fold for it in tests}
    groups = len(_groups_of(params, 0)) or len(seen)
    studies = [rotation.of_fold(params, fold).study for fold in sorted(seen)]
    rows = {(row.scan, row.slice): row for study in studies for row in load_rows(study)}
    folds_of = {it.name: {its.fold for its in tests if its.name == it.name} for it in tests}
    pooled = {
        name: _pooled(folder / name, seen) if len(own) == groups else {}
        for name, own in folds_of.items()
    }
    text = rotation_text.to_markdown(
        tests, list(rows.values()), pooled, study=params.study, groups=groups
    )
    written = [
        _write(report_folder(params.study, "rotate.csv"), rotation.to_csv(tests)),
        _write(report_folder(params.study, "rotate.md"), text),
    ]
    both = {name: own | pooled[name] for name, own in rotation.means_of(tests).items()}
    registry.log_comparison(both, study=params.study, files=written, data="")
    print(text)
    if keep:
        folder = Path("docs/results") / params.study
        print(keep_tables(folder, written, title=TITLE, command=command))


def _usable(params: Params, paths: Iterable[Path]) -> list[GroupTest]:
    """Those of these numbers and data, of what the study names; what is not used is said."""
    tests = []
    present = _groups_of(params, 0)  # fold 0 is prepared first, whatever has changed
    for path in paths:
        found = rotation.load(path)
        if (
            found is not None
            and found.fingerprint == _fingerprint_now(params, found)
            # One that was left when groups came or went is still of its own data.
            and (not present or _groups_of(params, found.fold) == present)
        ):
            tests.append(found)
        else:
            print(f"not in the table: {path}: it is of other numbers or data")
    return tests


def _groups_of(params: Params, fold: int) -> set[str]:
    """The groups of a fold as it was prepared; none where it was not.

    Not their scans: a fold may lack those of which nothing is stored, and has planted ones of its
    own. What it has is in the hash of its data.
    """
    try:
        return {it.case.group for it in load_cases(rotation.of_fold(params, fold).study)}
    except UadError:
        return set()


def _fingerprint_now(params: Params, found: GroupTest) -> str:
    """What a test of its name and fold would have; "" where the study has none."""
    own = rotation.of_fold(params, found.fold)
    if not (found.trivial or found.name in params.models):
        return ""
    try:
        return _fingerprint_of(own, found.name)
    except UadError:  # there is no such fold any more
        return ""


def _pooled(folder: Path, folds: Iterable[int]) -> dict[str, float]:
    """Of the voxels of all groups together; {} unless all are tested."""
    return kept_voxels.pooled_metrics([folder / f"fold{it}.npz" for it in sorted(folds)])


def _run(params: Params, methods: Sequence[str], folder: Path) -> None:
    fold, groups = 0, 1
    while fold < groups:
        own = rotation.of_fold(params, fold)
        file = _write(folder / f"fold{fold}.yaml", json.dumps(own.values, indent=1))
        run_module("train.stages.prepare", file)
        groups = len({it.case.group for it in load_cases(own.study)})
        for method in methods:
            _test(own, file, method, fold, folder)
        training, abnormal = open_images(own.study, "train")
        for baseline in baselines(training.of(~abnormal)):
            path, fingerprint = _place(own, baseline.name, fold, folder)
            if not _is_done(path, fingerprint):
                found = measure_baseline(own, baseline, own.block(Bootstrap, "evaluate")).where
                if pixels := where_files.pixels_of(found):
                    kept_voxels.save(path.with_suffix(".npz"), pixels)
                flat = where_files.flat(found)
                _save(path, own, baseline.name, fold, fingerprint, flat, None)
        fold += 1


def _test(own: Params, file: Path, method: str, fold: int, folder: Path) -> None:
    """Fit, export and measure one method, if that has not been done."""
    path, fingerprint = _place(own, method, fold, folder)
    if _is_done(path, fingerprint):
        return
    _fit(own, file, method, path.with_suffix(".fit"))
    for stage in ("export.stages.export", "export.stages.evaluate"):
        run_module(stage, file, method)
    reports = report_folder(own.study, "evaluate")
    found = where_files.load_flat(reports / f"{method}_where.json")
    if (voxels := reports / method / where_files.VOXELS).exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(voxels, path.with_suffix(".npz"))
    fitted = json.loads((report_folder(own.study, "fit") / f"{method}.json").read_text())
    _save(path, own, method, fold, fingerprint, found, fitted["fit_seconds"])


def _fit(own: Params, file: Path, method: str, note: Path) -> None:
    """Fit a method, unless the model that is here was fitted to these data and numbers."""
    fingerprint = rotation.fit_fingerprint_of(own, method, data_hash(own.study))
    is_fitted = note.exists() and note.read_text(encoding="utf-8").strip() == fingerprint
    if is_fitted and checkpoint_path(own.study, method).exists():
        return
    note.unlink(missing_ok=True)
    run_module("train.stages.fit", file, method)
    _write(note, fingerprint + "\n")


def run_module(stage: str, file: Path, *arguments: str) -> None:
    """Run a stage on a params file; JSON is YAML, too. It ends when we do, however we do.

    Raises:
        UadError: it failed, and has said why.
    """
    command = [sys.executable, "-m", stage, str(file), *arguments]
    environment = {**os.environ, WITH_INPUT: "1"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as process:
        code = process.wait()
    if code:
        raise UadError(
            f"{' '.join([stage, *arguments])} failed on {file} (exit code {code})",
            hint="it has said why above; what is done is kept",
        )


def _place(own: Params, name: str, fold: int, folder: Path) -> tuple[Path, str]:
    return folder / name / f"fold{fold}.json", _fingerprint_of(own, name)


def _fingerprint_of(own: Params, name: str) -> str:
    """What a test has of the data as they are now.

    Raises:
        UadError: they have not been prepared.
    """
    return rotation.fingerprint_of(own, name, data_hash(own.study) + unfitted_digest(own.study))


def _is_done(path: Path, fingerprint: str) -> bool:
    found = rotation.load(path)
    return found is not None and found.fingerprint == fingerprint


def _save(
    path: Path,
    own: Params,
    name: str,
    fold: int,
    fingerprint: str,
    where: Mapping[str, float],
    fit_seconds: float | None,
) -> None:
    git = git_state()
    groups = {it.case.group for it in load_cases(own.study) if it.split == "test"}
    test = GroupTest(
        name=name,
        trivial=fit_seconds is None,
        fold=fold,
        group=", ".join(sorted(groups)),
        fingerprint=fingerprint,
        fit_seconds=fit_seconds,
        metrics=rotation.row_metrics(where),
        provenance={
            "git_commit": git.commit,
            "git_dirty": str(git.dirty).lower(),
            "machine": f"{platform.system()} {platform.machine()}, {cores()} cores",
        },
    )
    rotation.save(path, test)
    print(f"{name}, {test.group}: Dice {test.metrics.get('dice', float('nan')):.3f}, {path}")


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m export.stages.rotate")
    parser.add_argument("params")
    parser.add_argument("--methods", default="", help="of the study's, with commas between")
    parser.add_argument("--only-table", action="store_true", help="fit nothing")
    parser.add_argument("--keep", action="store_true", help="copy to docs/results/<study>")
    given = parser.parse_args(arguments)
    methods = tuple(filter(None, given.methods.split(",")))
    command = " ".join(["python -m export.stages.rotate", *arguments])
    return run_stage(
        lambda params: rotate(
            params, methods, fits=not given.only_table, command=command, keep=given.keep
        ),
        [given.params],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
