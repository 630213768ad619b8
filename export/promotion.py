"""Who may call himself champion: a candidate and the present holder on the same test scans."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from export.scan_scores import THREADS, score_scans
from infer.digest import digest_of
from infer.engine import open_engine, read_manifest
from infer.errors import UnknownChoiceError
from infer.model_source import located
from train import tracking
from train.data import data_hash, load_cases
from train.datasets.case import Case
from train.metrics import Bootstrap, Interval, Weights, bootstrap
from train.paths import model_path

# What MLflow (mlflow.utils.validation) takes for an alias; some mean a version to it.
ALIAS = re.compile(r"[\w-]{1,255}")
VERSION = re.compile(r"[vV]\d+")
BOOTSTRAP = Bootstrap(resamples=2000, confidence=0.95, seed=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What was compared, and what came of it."""

    name: str  # of the registered model
    alias: str
    candidate: str  # versions
    champion: str  # empty: nobody held the alias
    difference: Interval | None  # AUROC, candidate less champion; None: nothing to compare with
    scans: int  # of the test
    forced: bool

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval of the difference lies below 0."""
        return self.difference is not None and self.difference.high < 0

    @property
    def promoted(self) -> bool:
        return self.forced or not self.is_worse

    def in_words(self) -> str:
        """One sentence."""
        who = f"version {self.candidate} of {self.name}"
        if self.difference is None and self.champion:
            return (
                f"{who} is {self.alias} now, by force: version {self.champion} was made of other "
                "prepared data than are here, so nothing was compared"
            )
        if self.difference is None:
            return f"{who} is {self.alias} now; nobody was before, so nothing was compared"
        found = self.difference
        numbers = (
            f"AUROC {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}] beside version "
            f"{self.champion} on the same {self.scans} test scans"
        )
        if not self.promoted:
            return f"{who} is worse and was not promoted: {numbers}"
        how = ", by force although it is worse" if self.is_worse else ""
        return f"{who} is {self.alias} now{how}: {numbers}"


def promote(
    study: str, method: str, *, alias: str, version: str | None = None, force: bool = False
) -> Promotion:
    """Give the alias to a version of a registered model, unless it is worse than its holder.

    Both files score the study's test scans anew; what is compared is paired, scan by scan, and the
    interval is that of a bootstrap over groups. Worse is what is so with its whole interval.

    Tags of the version, in place of those of an earlier promotion to this alias: whom it replaced
    (`<alias>.instead_of`), the difference (`<alias>.auroc_difference`) and, where force was given,
    what it was needed for (`<alias>.forced`).

    Args:
        version: None: the one whose file lies in models/<study>, as `export` or DVC left it.

    Raises:
        UnknownChoiceError: nothing can be called by this alias, there is no such model or version,
            none is the file in models/<study>, it holds the alias already, the test has one class
            only, or the two files were made of other prepared data.
    """
    _refuse_unusable(alias)
    client = tracking.open_client()
    name = f"uad-{study}-{method}"
    candidate = _candidate(_versions(client, name), name, version, model_path(study, method))
    aliases: Mapping[str, str] = client.get_registered_model(name).aliases
    champion = str(aliases.get(alias, ""))
    if champion == candidate:
        raise UnknownChoiceError(
            f"version {candidate} of {name} is {alias} already", hint="name another with --version"
        )
    difference, scans = None, 0
    if champion and not (force and _is_of_other_data(f"models:/{name}/{champion}", study)):
        test = [it.case for it in load_cases(study) if it.split == "test"]
        new, old = (_scores(f"models:/{name}/{it}", test, study) for it in (candidate, champion))
        difference, scans = compare(new, old, test), len(test)
    found = Promotion(
        name=name,
        alias=alias,
        candidate=candidate,
        champion=champion,
        difference=difference,
        scans=scans,
        forced=force,
    )
    if found.promoted:
        _write(client, found)
    return found


def _write(client: Any, found: Promotion) -> None:
    """Alias and tags, which are no one transaction of the store.

    In this order, so that wherever it fails no tag says what is not so: an earlier promotion's
    would be read as this one's, and this one's are true only once the alias is given.
    """
    before = client.get_model_version(found.name, found.candidate).tags
    for key in (it for it in before if it.startswith(f"{found.alias}.")):
        client.delete_model_version_tag(found.name, found.candidate, key)
    client.set_registered_model_alias(found.name, found.alias, found.candidate)
    for key, value in _tags(found).items():
        client.set_model_version_tag(found.name, found.candidate, key, value)


def compare(candidate: np.ndarray, champion: np.ndarray, test: Sequence[Case]) -> Interval:
    """The difference of the AUROCs of two scores `(scan,)`, and its interval over groups.

    Raises:
        UnknownChoiceError: not both classes are in the test.
    """
    abnormal = np.array([not case.normal for case in test])
    if abnormal.all() or not abnormal.any():
        raise UnknownChoiceError(
            f"{int(abnormal.sum())} of {len(test)} test scans are abnormal: nothing tells which "
            "model is better",
            hint="a study whose test has both can be compared",
        )

    def measure(weights: Weights | None) -> dict[str, float]:
        count = np.ones(len(test)) if weights is None else weights
        if not (count @ abnormal and count @ ~abnormal):
            return {}
        areas = [
            float(roc_auc_score(abnormal, it, sample_weight=count)) for it in (candidate, champion)
        ]
        return {"difference": areas[0] - areas[1]}

    return bootstrap(measure, [case.group for case in test], BOOTSTRAP)["difference"]


def _refuse_unusable(alias: str) -> None:
    """As MLflow does, but before hours of scoring."""
    if not ALIAS.fullmatch(alias) or alias.lower() == "latest" or VERSION.fullmatch(alias):
        raise UnknownChoiceError(
            f"{alias!r} cannot be an alias of a model",
            hint="use letters, digits, - and _; v and a number, and latest, mean versions",
        )


def _versions(client: Any, name: str) -> Sequence[Any]:
    """Of a registered model: none, if it cannot be called so."""
    found: Sequence[Any] = [] if "'" in name else client.search_model_versions(f"name = '{name}'")
    return found


def _candidate(versions: Sequence[Any], name: str, version: str | None, path: Path) -> str:
    """The version asked for, or else the one whose file lies at `path`."""
    known = sorted(int(str(it.version)) for it in versions)
    if not known:
        raise UnknownChoiceError(
            f"no model {name} is registered in this repository's MLflow store",
            hint="the stage `export` registers what it writes",
        )
    listed = ", ".join(map(str, known))
    if version is None:
        # Not the newest: that may be of an experiment that was tried and discarded.
        if not (sha256 := digest_of(path)):
            raise UnknownChoiceError(
                f"{path} is not here, so that no version of {name} is the one at hand",
                hint=f"`dvc checkout` or `dvc pull` restores it; or name one, --version: {listed}",
            )
        same = [int(str(it.version)) for it in versions if it.tags.get("sha256") == sha256]
        if not same:
            raise UnknownChoiceError(
                f"{path} is none of the versions of {name}",
                hint=f"the stage `export` registers it; or name one, --version: {listed}",
            )
        return str(max(same))
    if not version.isdecimal() or int(version) not in known:
        raise UnknownChoiceError(f"{name} has no version {version}", hint=f"it has {listed}")
    return str(int(version))


def _is_of_other_data(address: str, study: str) -> bool:
    """Whether a registered file was made of other prepared data than are here."""
    manifest = read_manifest(located(address, warnings.warn).path)
    return manifest.provenance.data_hash != data_hash(study)


def _scores(address: str, test: Sequence[Case], study: str) -> np.ndarray:
    """Of a registered file on the test scans.

    Raises:
        UnknownChoiceError: it was fitted on other data, whose test may be other scans.
    """
    engine = open_engine(located(address, warnings.warn).path, device="cpu", threads=THREADS)
    made_of, here = engine.manifest.provenance.data_hash, data_hash(study)
    if made_of != here:
        raise UnknownChoiceError(
            f"{address} was made of other prepared data ({made_of[:12]}) than are here "
            f"({here[:12]}): what is test now may have trained it",
            hint="compare two of the same data, or replace the present one uncompared: --force",
        )
    return np.array([it.finding.score for it in score_scans(test, engine.manifest, engine)])


def _tags(found: Promotion) -> dict[str, str]:
    tags = {f"{found.alias}.instead_of": found.champion or "none"}
    if found.difference is not None:
        interval = found.difference
        tags[f"{found.alias}.auroc_difference"] = (
            f"{interval.value:.4f} [{interval.low:.4f}, {interval.high:.4f}]"
        )
    if found.forced:
        tags[f"{found.alias}.forced"] = _needed_for(found)
    return tags


def _needed_for(found: Promotion) -> str:
    """What force was needed for."""
    if found.difference is None:
        return "nothing was compared"
    return "worse" if found.is_worse else "not needed"
