"""Many runs beside their models' normals, in the order of time: from their run.json alone."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from infer import output_folder
from infer.errors import BadOutputError, UnknownChoiceError
from infer.monitoring import Monitoring, monitoring_from

_MERGED = "it is counted in the report that it was merged into"


class Run(NamedTuple):
    """One run that is over, or several joined by --merge."""

    folder: Path  # as it was named, or found below what was
    finished: datetime
    model: Mapping[str, Any]
    record: Mapping[str, Any]  # its monitoring, as in run.json
    monitoring: Monitoring
    joined: frozenset[Path]  # folders of the runs that a merged report stands for


class Series(NamedTuple):
    """The runs of one model file."""

    model: Mapping[str, Any]
    runs: Sequence[Run]  # oldest first
    together: Monitoring  # as if they were one run: what each is too small for shows there


class LeftOut(NamedTuple):
    """A folder whose run cannot be compared."""

    folder: Path
    why: str


class Monitored(NamedTuple):
    """What was found."""

    series: Sequence[Series]
    left_out: Sequence[LeftOut]


def read_runs(folders: Sequence[Path]) -> Monitored:
    """The runs whose results lie in these folders, or anywhere below them.

    Raises:
        UnknownChoiceError: no folder is named.
        BadOutputError: one holds no run.
    """
    if not folders:
        raise UnknownChoiceError(
            "--monitor needs the folders of runs", hint="uad-infer --monitor DIR …"
        )
    found = [place for folder in folders for place in _places(folder)]
    each = {folder.resolve(): folder for folder in found}  # one that is named twice counts once
    read = [_read(folder) for folder in each.values()]
    left_out = [it for it in read if isinstance(it, LeftOut)]
    runs = [it for it in read if isinstance(it, Run)]
    joined = frozenset().union(*(run.joined for run in runs))
    apart = [run for run in runs if run.folder.resolve() not in joined]
    left_out += [LeftOut(run.folder, _MERGED) for run in runs if run not in apart]
    return Monitored(_series(apart, left_out), left_out)


def _places(folder: Path) -> Iterator[Path]:
    """Folders of results; nothing is looked for below one. Links are followed, each folder once.

    Raises:
        BadOutputError: there is none, or runs might be missed.
    """

    def refuse(error: OSError) -> None:
        raise BadOutputError(
            f"{error.filename} cannot be listed: {error.strerror}",
            hint="runs below it would be missed: name the folders that can be read",
        ) from error

    some = False
    root = folder.resolve()
    seen = set()  # links may lead to where we have been
    for place, below, names in os.walk(folder, onerror=refuse, followlinks=True):
        if (real := Path(place).resolve()) in seen:
            below.clear()
            continue
        seen.add(real)
        if output_folder.RUN in names or output_folder.JOURNAL in names:
            below.clear()
            some = True
            yield Path(place)
        # One that leads above would also lead to our neighbours.
        ways = (it for it in below if not root.is_relative_to(Path(place, it).resolve()))
        below[:] = sorted(ways)
    if not some:
        raise BadOutputError(
            f"{folder} holds no run of uad-infer", hint="--monitor wants the --out of runs"
        )


def _read(folder: Path) -> Run | LeftOut:
    try:
        run = json.loads((folder / output_folder.RUN).read_text(errors="surrogateescape"))
        model, finished = run["model"], datetime.fromisoformat(run["timing"]["finished"])
        if "monitoring" not in run:
            return LeftOut(folder, "it was made by a uad that did not compare: start it again")
        return Run(
            folder=folder,
            finished=finished.astimezone(UTC),
            model={name: model[name] for name in ("sha256", "method", "study", "modality")},
            record=run["monitoring"],
            monitoring=monitoring_from([run["monitoring"]]),
            joined=frozenset((folder / part["folder"]).resolve() for part in run.get("merged", [])),
        )
    except FileNotFoundError:
        return LeftOut(folder, f"no {output_folder.RUN}: it was killed, or still goes on")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return LeftOut(folder, f"its {output_folder.RUN} is not the record of a run")


def _series(runs: Sequence[Run], left_out: list[LeftOut]) -> list[Series]:
    """One for each model file, that of the latest run first; `left_out` takes what fits none."""
    by_model: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (run.finished, run.folder)):
        own = by_model.setdefault(run.model["sha256"], [])
        try:
            monitoring_from([it.record for it in (*own[:1], run)])
        except ValueError as error:
            left_out.append(LeftOut(run.folder, f"{error}: was its {output_folder.RUN} changed?"))
        else:
            own.append(run)
    series = [
        Series(model=own[-1].model, runs=own, together=monitoring_from([it.record for it in own]))
        for own in by_model.values()
    ]
    return sorted(series, key=lambda it: it.runs[-1].finished, reverse=True)
