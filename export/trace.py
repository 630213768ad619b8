"""From a mask, a report or a model back to what made it, link by link, and where a link is broken.

result → model file → registered version → MLflow run → commit → prepared data → parameters
"""

import json
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from infer import output_folder
from infer.digest import digest, digest_of
from infer.engine import read_manifest
from infer.errors import UadError, UnreadableScanError
from infer.journal import Entries
from infer.manifest import Manifest
from infer.signature import unsigned
from train import tracking
from train.data import data_hash
from train.paths import model_path

SHORT = 12  # digits of a hash in words
WIDTH = 12  # of a link's name in print
EXPERIMENT = "DVC_EXP_NAME"  # tag of a run, or of a registered version: see `train.tracking`
SHA256_TAG = "sha256"  # of a registered version: see `export.registry.register`


class Link(NamedTuple):
    """One step back."""

    name: str
    holds: bool
    said: str  # what was found; of a broken link, what is missing and what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a result or a model file says of itself."""

    sha256: str  # of the model file as it was used
    original_sha256: tuple[str, ...]  # of the files that it was recalibrated, reduced, signed from
    study: str
    method: str
    run_id: str
    members: Mapping[str, str]  # of an ensemble: method → run
    commit: str
    dirty: bool
    data_hash: str
    registered: str = ""  # of a run that asked a registry for its model: what that meant, in words


def trace(path: Path) -> list[Link]:
    """Every link from a model file, a report, a folder of results or a file in one.

    Raises:
        UnreadableScanError: there is no such file, nothing above it says what made it, or what
            does is damaged.
        BadModelError: it is a model file that cannot be read.
    """
    if not path.exists():
        raise UnreadableScanError(f"{path}: no such file or folder", hint="check the path")
    links = []
    if path.suffix == ".onnx":
        origin = _of_manifest(read_manifest(path), path.read_bytes())
    else:
        run = _run_above(path)
        origin = _of_run(run)
        links.append(_result(path, run))
    return [*links, *_links(origin)]


def in_words(links: Sequence[Link]) -> str:
    """A line for each link."""
    return "\n".join(
        f"{link.name:{WIDTH}}{'' if link.holds else 'BROKEN: '}{link.said}" for link in links
    )


def _run_above(path: Path) -> Path:
    """The record of the run that wrote a file: in its folder, or in one above."""
    start = path.resolve()
    for folder in (start, *start.parents):
        if (run := folder / output_folder.RUN).is_file():
            return run
    raise UnreadableScanError(
        f"{path}: neither its folder nor one above it has a {output_folder.RUN}, which says what "
        "made it",
        hint="masks are traced where `uad-infer` wrote them, or with their whole folder",
    )


def _result(path: Path, run: Path) -> Link:
    """Whether the run wrote this file, and it is still as it was written."""
    folder = run.parent
    name = path.resolve().relative_to(folder).as_posix()
    if path.is_dir() or name in output_folder.OF_THE_RUN:
        return Link("result", True, f"{path} is of the run that {run} tells of")
    entries = Entries.read(folder / output_folder.JOURNAL)
    entry = next((it for it in entries if name in it.outputs), None)
    if entry is None:
        return Link("result", False, f"{path} lies beside {run}, but no scan of that run wrote it")
    if entry.key != _key_in(run, entry.key):
        said = f"{path} is of an earlier run with another model or options than {run} tells of"
        return Link("result", False, said)
    if digest_of(path) != entry.outputs[name]:
        return Link("result", False, f"{path} has changed since the run that {run} tells of")
    return Link("result", True, f"{path} is of the run that {run} tells of, as it was written")


def _key_in(run: Path, otherwise: str) -> str:
    """Of its model and options; earlier versions kept none."""
    try:
        return str(json.loads(run.read_text(encoding="utf-8")).get("key", otherwise))
    except (OSError, ValueError, AttributeError):
        return otherwise  # `_of_run` says what is wrong with it


def _of_manifest(manifest: Manifest, content: bytes) -> Origin:
    made = manifest.provenance
    sha256, bare = digest(content), digest(unsigned(content))
    before = [it.original_sha256 for it in manifest.recalibrated]
    before += [manifest.variant.of] if manifest.variant else []
    return Origin(
        sha256=sha256,
        original_sha256=(*before, *([bare] if bare != sha256 else [])),
        study=manifest.study,
        method=manifest.method,
        run_id=made.mlflow_run_id,
        members=made.members,
        commit=made.git_commit,
        dirty=made.git_dirty,
        data_hash=made.data_hash,
    )


def _of_run(run: Path) -> Origin:
    """What run.json says of the model."""
    try:
        model = json.loads(run.read_text(encoding="utf-8"))["model"]
        before = [it["original_sha256"] for it in model.get("recalibrated") or ()]
        before += [model["unsigned_sha256"]] if model.get("unsigned_sha256") else []
        variant = model.get("variant")
        return Origin(
            sha256=model["sha256"],
            original_sha256=(*before, *([variant["of"]] if variant else [])),
            study=model["study"],
            method=model["method"],
            run_id=model["mlflow_run_id"],
            members=model["members"],
            commit=model["git_commit"],
            dirty=model["git_dirty"],
            data_hash=model["data_hash"],
            registered=_asked(model.get("registered") or {}),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableScanError(
            f"{run} does not say which model was used: {error!r}",
            hint="is it damaged, or of another program? `uad-infer` writes it anew",
        ) from error


def _asked(registered: Mapping[str, str | None]) -> str:
    """What the address that a run was given meant then."""
    if not registered:
        return ""
    unconfirmed = ", by its cache alone" if registered.get("unconfirmed") else ""
    return f"; the run asked for {registered['asked']}, {registered['version']} then{unconfirmed}"


def _links(origin: Origin) -> Iterator[Link]:
    yield _file(origin)
    runs = {origin.method: origin.run_id} if origin.run_id else {}
    found = {name: _runs(run) for name, run in (runs | dict(origin.members)).items()}
    yield _version(origin, [run.info.run_id for it in found.values() for run in it])
    for name, run in (runs | dict(origin.members)).items():
        yield _run(name, run, found[name])
    if not found:
        yield Link("run", False, "the file names none: it was not fitted by this project's stages")
    yield from _commits(origin, found)
    yield _data(origin)
    yield from (_params(name, it) for name, it in found.items())


def _file(origin: Origin) -> Link:
    """Whether the model of the study here is this file, or the one that it was made of."""
    path = model_path(origin.study, origin.method)
    said = f"{origin.method} of study {origin.study}, SHA-256 {origin.sha256[:SHORT]}"
    if origin.original_sha256:
        said += f", made of {', '.join(it[:SHORT] for it in origin.original_sha256)}"
    if not path.exists():
        return Link("model", True, f"{said}; no {path} here to compare it with")
    if (here := digest(path.read_bytes())) in (origin.sha256, *origin.original_sha256):
        return Link("model", True, f"{said}; {path} is that file")
    return Link("model", True, f"{said}; {path} is another one now ({here[:SHORT]})")


def _version(origin: Origin, runs: Sequence[str]) -> Link:
    """Registered versions that are this very file, or one that it was made of."""
    name = f"uad-{origin.study}-{origin.method}"
    versions = tracking.open_client().search_model_versions(f"name = '{name}'")
    files = (origin.sha256, *origin.original_sha256)
    if own := _numbers(it for it in versions if it.tags.get(SHA256_TAG) in files):
        return Link("version", True, f"{own} of {name}{origin.registered}")
    fitted = [it for it in versions if it.run_id in runs]
    if old := _numbers(it for it in fitted if SHA256_TAG not in it.tags):
        why = f"{old} is of its fit, but was registered before hashes of files were noted"
    elif fitted:
        why = (
            f"{_numbers(fitted)} is of its fit, but another file: this one was exported again, "
            "signed or changed"
        )
    else:
        why = f"it has {len(versions)} of other fits" if versions else "it knows no such model"
    said = f"no version of {name} in this MLflow store is this file: {why}{origin.registered}"
    return Link("version", False, said)


def _numbers(versions: Iterable[Any]) -> str:
    return ", ".join(map(str, sorted(int(it.version) for it in versions)))


def _runs(run_id: str) -> list[Any]:
    """The run in this store, or those that stand for it: see `export.registry`."""
    client = tracking.open_client()
    experiments = [it.experiment_id for it in client.search_experiments()]
    asked = (f"attributes.run_id = '{run_id}'", f"tags.fit_run = '{run_id}'")
    return [run for how in asked for run in client.search_runs(experiments, filter_string=how)]


def _run(name: str, run_id: str, found: Sequence[Any]) -> Link:
    if not found:
        return Link(
            "run",
            False,
            f"{run_id} ({name}) is not in the MLflow store of this repository: was it fitted in "
            "another checkout?",
        )
    if found[0].info.run_id != run_id:
        return Link("run", True, f"{found[0].info.run_id} ({name}), which stands for {run_id}")
    return Link("run", True, f"{run_id} ({name})")


def _commits(origin: Origin, found: Mapping[str, Sequence[Any]]) -> Iterator[Link]:
    """The code that fitted, as the runs know it, and that which exported."""
    made = {(origin.commit, origin.dirty, _exported_in(origin)): ["exported"]}
    for name, runs in found.items():
        for tags in (run.data.tags for run in runs[:1] if "git_commit" in run.data.tags):
            code = tags["git_commit"], tags.get("git_dirty") == "true", tags.get(EXPERIMENT, "")
            made.setdefault(code, []).append(f"fitted {name}")
    for (commit, dirty, experiment), what in made.items():
        which = f" ({', '.join(what)})" if len(made) > 1 else ""
        yield _commit(commit, dirty, experiment, which=which)


def _exported_in(origin: Origin) -> str:
    """The experiment of DVC in which a file was exported, as its version says; "" if in none."""
    name = f"uad-{origin.study}-{origin.method}"
    versions = tracking.open_client().search_model_versions(f"name = '{name}'")
    files = (origin.sha256, *origin.original_sha256)
    own = [it.tags.get(EXPERIMENT, "") for it in versions if it.tags.get(SHA256_TAG) in files]
    return own[0] if len(set(own)) == 1 else ""


def _commit(commit: str, dirty: bool, experiment: str, *, which: str) -> Link:
    if not commit:
        return Link("commit", False, f"none: it was made outside a git repository{which}")
    asked = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    try:
        there = subprocess.run(asked, capture_output=True, check=False)
    except OSError:
        return Link("commit", False, f"{commit} cannot be looked for: there is no git here{which}")
    if there.returncode:
        return Link("commit", False, f"{commit} is not in this repository: fetch it{which}")
    if dirty and (kept := _kept_as(commit, experiment)):
        return Link(
            "commit",
            True,
            f"{commit} with the changes of experiment {kept}, which `dvc exp branch {kept} NAME` "
            f"makes a branch of{which}",
        )
    if dirty:
        return Link(
            "commit",
            False,
            f"{commit[:SHORT]}, with changes that were not committed: its code cannot be had "
            f"again{which}",
        )
    return Link("commit", True, f"{commit}{which}")


def _kept_as(commit: str, experiment: str) -> str:
    """The experiment's name, if DVC keeps it as a commit upon this one; else ""."""
    asked = ["git", "for-each-ref", "--format=%(refname) %(parent)", "refs/exps"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    upon = {line.split()[0].rpartition("/")[2] for line in found.splitlines() if commit in line}
    return experiment if experiment in upon else ""


def _data(origin: Origin) -> Link:
    """Whether the prepared data here are those."""
    wanted = origin.data_hash[:SHORT]
    try:
        here = data_hash(origin.study)
    except UadError:
        return Link(
            "data",
            False,
            f"data/{origin.study} is not here ({wanted} is wanted): `dvc pull`, or `dvc repro`",
        )
    if here != origin.data_hash:
        return Link(
            "data",
            False,
            f"data/{origin.study} is {here[:SHORT]} now, {wanted} is wanted: check the commit out, "
            "then `dvc checkout`",
        )
    return Link("data", True, f"data/{origin.study} is {wanted}")


def _params(name: str, found: Sequence[Any]) -> Link:
    numbers: Mapping[str, str] = next((it.data.params for it in found if it.data.params), {})
    if not numbers:
        return Link("parameters", False, f"the run of {name} is not here, or holds none")
    return Link("parameters", True, f"{len(numbers)} of {name} in its run")
