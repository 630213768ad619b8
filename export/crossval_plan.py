"""What a cross validation has to run: every fold of every row, less what is done already."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np

from export import fold_files, fold_result
from export.baselines import baselines
from export.fold_job import FoldJob, checkpoint_of, fingerprint_of, keeper_names, note_of
from export.fold_result import FoldResult
from export.membership import refuse_unusable_name
from train.params import BadParamsError, Params, suggest
from train.pool import Pool, make_pool
from train.protocol import CrossvalConfig, SplitConfig
from train.recipes import find

WAVES = 3  # of a grouping: what is fitted, variants of it, ensembles
ABLATED = "+"  # between a method's name and its ablation's


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job, the numbers it runs with, and what tells a result of it from others."""

    job: FoldJob
    params: Params
    fingerprint: str
    # 0 first: later ones need what earlier ones leave. A grouping is done before the next one
    # begins, so that a run that is stopped has a whole table to show.
    wave: int

    def path(self, folds: Path) -> Path:
        """The JSON of its result."""
        return fold_files.path_of(
            folds, self.job.name, grouped=self.job.grouped, fold=self.job.fold
        )


class _Numbers(NamedTuple):
    """The study's numbers and images, or those of an ablation."""

    params: Params
    pool: Pool
    stored: str  # the pool's name
    suffix: str  # of a method's name


def check_names(
    params: Params, config: CrossvalConfig, *, methods: Sequence[str], ablations: Sequence[str]
) -> None:
    """Refuse what the block does not name, rows of one name, and methods that it cannot fit.

    Raises:
        BadParamsError: there is such a name.
    """
    for given, known in ((methods, config.methods), (ablations, tuple(config.ablations))):
        for name in given:
            if name not in known:
                raise BadParamsError(
                    f"{params.path}: crossval does not name {name!r}", hint=suggest(name, known)
                )
    taken = {*params.names("fit"), *_trivial_names()}
    for ensemble in config.ensembles:
        if ensemble in taken or ABLATED in ensemble:
            raise BadParamsError(
                f"{params.path}: crossval.ensembles.{ensemble} has the name of another row",
                hint=f"their results would overwrite each other: call it otherwise, without "
                f"{ABLATED}",
            )
        refuse_unusable_name(params, "crossval.ensembles", ensemble)
    for method in config.methods:
        if (of := _shares_with(params, method)) and of not in config.methods:
            raise BadParamsError(
                f"{params.path}: crossval names {method}, which takes over networks of {of}, "
                f"but not {of}",
                hint=f"add {of} to crossval.methods",
            )
        if find(method).supervised:
            raise BadParamsError(
                f"{method} learns from labels: no abnormal image trains in the 2×5 protocol",
                hint="give it a study of its own, with `abnormals: folds`",
            )


def plan(
    params: Params,
    config: CrossvalConfig,
    pool: Pool,
    *,
    stored: str,
    methods: Sequence[str],
    ablations: Sequence[str],
) -> Iterator[Planned]:
    """Every fold of every row: methods, their ablations, ensembles, baselines.

    Args:
        stored: the pool's name; an ablation that changes the data gets a pool of its own.
        methods: of the block's, those to fit, with those whose networks they take over; empty: all.
    """
    split = params.block(SplitConfig, "split")
    if split.scheme != "folds":
        raise BadParamsError(
            f"{params.path}: cross validation follows the 2×5 protocol, but split.scheme is "
            f"{split.scheme}",
            hint="it needs `scheme: folds`; with leave_one_out, run the study once for each fold",
        )
    chosen = {*(methods or config.methods)}
    chosen |= {of for method in chosen if (of := _shares_with(params, method))}
    plain = _Numbers(params, pool, stored, "")
    numbers = [plain, *(_ablated(plain, name, config.ablations[name]) for name in ablations)]
    trivial = _trivial_names()
    for first, grouped in zip(count(0, WAVES), config.grouped, strict=False):
        for fold in range(split.normal_folds):
            planned = partial(_planned, grouped=grouped, fold=fold)
            for name in trivial:
                yield planned(plain, name, wave=first)
            for own in numbers:
                for method in (it for it in config.methods if it in chosen):
                    wave = first + (1 if params.of("fit", method) else 0)
                    yield planned(own, method + own.suffix, method=method, wave=wave)
            for name, members in config.ensembles.items():
                if set(members) <= set(chosen):
                    yield planned(plain, name, members=members, wave=first + 2)


def begun_ablations(
    config: CrossvalConfig, folds: Path, *, asked: Sequence[str]
) -> tuple[str, ...]:
    """Those that were asked for, and those of which a fold is there."""

    def is_begun(name: str) -> bool:
        paths = (
            fold_files.path_of(folds, f"{method}{ABLATED}{name}", grouped=grouped, fold=0).parent
            for method in config.methods
            for grouped in config.grouped
        )
        return any(next(it.glob("*.json"), None) for it in paths)

    return tuple(it for it in config.ablations if it in asked or is_begun(it))


def missing_of(
    planned: Sequence[Planned], folds: Path, models: Path, *, source: Path | None
) -> list[Planned]:
    """What has no usable result, and what others need the checkpoints of.

    Args:
        source: folds of another run; usable ones are copied to `folds`.
    """
    by_row = {(it.job.name, it.job.place): it for it in planned}
    wanted = {row for row, it in by_row.items() if not _is_done(it, folds, source)}
    waiting = list(wanted)
    while waiting:  # an ensemble's member may itself rely on another's checkpoints
        it = by_row[waiting.pop()]
        relied_on = [by_row[name, it.job.place] for name in _relied_on(it)]
        needed = {(one.job.name, one.job.place) for one in relied_on if not _has(one, models)}
        waiting += needed - wanted
        wanted |= needed
    return [it for row, it in by_row.items() if row in wanted]


def _trivial_names() -> list[str]:
    """What the baselines are called, whatever images they know."""
    return [it.name for it in baselines(np.zeros((1, 1, 2, 2), np.float32))]


def _ablated(plain: _Numbers, name: str, blocks: Mapping[str, Mapping[str, object]]) -> _Numbers:
    own = plain._replace(
        params=plain.params.with_blocks(blocks, where=f"crossval.ablations.{name}"),
        suffix=f"{ABLATED}{name}",
    )
    if "data" not in blocks:
        return own
    stored = f"{plain.stored}.{name}"
    return own._replace(pool=make_pool(own.params, stored), stored=stored)


def _planned(
    numbers: _Numbers,
    name: str,
    *,
    grouped: bool,
    fold: int,
    wave: int,
    method: str = "",
    members: tuple[str, ...] = (),
) -> Planned:
    job = FoldJob(
        name=name,
        method=method,
        members=members,
        pool=numbers.stored,
        grouped=grouped,
        fold=fold,
        parent_run="",
    )
    fingerprint = fingerprint_of(numbers.params, job, numbers.pool.hash)
    return Planned(job=job, params=numbers.params, fingerprint=fingerprint, wave=wave)


def _relied_on(planned: Planned) -> tuple[str, ...]:
    """The rows whose checkpoints a job reads."""
    job = planned.job
    if job.members:
        return job.members
    of = _shares_with(planned.params, job.method) if job.method else ""
    return (of + job.suffix,) if of else ()


def _shares_with(params: Params, method: str) -> str:
    """The method whose networks a variant takes over; "" for none."""
    return params.of("fit", method) if find(method).shared else ""


def _has(planned: Planned, models: Path) -> bool:
    """Whether a job's checkpoints are there, and those of its numbers and data."""
    config = planned.params.block(CrossvalConfig, "crossval")
    place, name = models / planned.job.place, planned.job.name
    note = note_of(place, name)
    if not note.exists() or note.read_text() != planned.fingerprint:
        return False
    return all(checkpoint_of(place, name, it).exists() for it in keeper_names(config))


def _is_done(planned: Planned, folds: Path, source: Path | None) -> bool:
    """Whether there is a result to use; one from `source` is copied."""
    path, job = planned.path(folds), planned.job
    found = fold_result.load(path, planned.fingerprint)
    if isinstance(found, FoldResult):
        return True
    if path.exists():
        print(f"not used: {found}")
    if source is None:
        return False
    other = fold_files.fetch(source, job.name, grouped=job.grouped, fold=job.fold)
    if other is None:
        return False
    where = f"{job.name} {job.place} in {source}"
    found = fold_result.decoded(other, planned.fingerprint, where=where)
    if not isinstance(found, FoldResult):
        print(f"not used: {found}")
        return False
    fold_result.save(path, found)
    return True
