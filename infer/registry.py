"""What an MLflow registry says of `models:/name@alias`; MLflow is imported when it is asked."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from infer.address_keys import without_keys
from infer.errors import AwayError, BadModelError, MissingExtraError
from infer.model_cache import ENDING
from infer.patience import away, impatient, silence_of

SCHEME = "models:"
FORMS = "models:/name@alias or models:/name/version"
# Before mlflow is imported: it reads these once. It must neither call home nor draw bars.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINTS": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_SQLITE = "sqlite:///"


class Wanted(NamedTuple):
    """What an address asks for."""

    name: str
    alias: str  # or else the number
    number: str

    def __str__(self) -> str:
        last = f"@{self.alias}" if self.alias else f"/{self.number}"
        return f"{SCHEME}/{self.name}{last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a registered model."""

    name: str
    number: str
    run_id: str
    created: int  # milliseconds; numbers begin anew in a registry that was made anew


def wanted_of(address: str) -> Wanted:
    """What `models:/name@alias` or `models:/name/version` asks for.

    Raises:
        BadModelError: it has another form.
    """
    named = address.removeprefix(SCHEME).lstrip("/")
    name, _, alias = named.rpartition("@")
    if name and alias:
        return Wanted(name, alias, "")
    name, _, number = named.rpartition("/")
    if name and number.isdecimal():
        return Wanted(name, "", number)
    raise BadModelError(f"{address} names no version of a model", hint=FORMS)


def registry_asked() -> str:
    """Which registry is meant, without user and password; "" if nothing says it."""
    mlflow = sys.modules.get("mlflow")  # a program may have told it, not the environment
    named = os.environ.get("MLFLOW_REGISTRY_URI")
    if mlflow is None:
        named = named or os.environ.get("MLFLOW_TRACKING_URI")
    elif named or mlflow.is_tracking_uri_set():
        named = mlflow.get_registry_uri()
    registry = without_keys(named or "").rstrip("/")
    if path := _file_of(registry):
        return f"{_SQLITE}{path.absolute()}"
    return registry


def version_now(wanted: Wanted) -> Version:
    """The version that is meant at present.

    Raises:
        MissingExtraError: MLflow is not installed.
        AwayError: the registry gives no answer.
        BadModelError: it has no such version, or none for this user; or nothing says where it is.
    """
    mlflow = _mlflow(wanted)
    _refuse_missing_registry(wanted)
    try:
        with impatient():
            client = mlflow.MlflowClient()
            if wanted.alias:
                found = client.get_model_version_by_alias(wanted.name, wanted.alias)
            else:
                found = client.get_model_version(wanted.name, wanted.number)
    except Exception as error:  # of MLflow, of its database, of a driver: they share no class
        # Without what caused it: it may hold the password of the registry's address.
        if silence := silence_of(error):
            raise away(f"{wanted}: the MLflow registry {registry_asked()}", silence) from None
        raise _refused(wanted, error) from None
    return Version(
        name=found.name,
        number=str(found.version),
        run_id=found.run_id or "",
        created=int(found.creation_timestamp or 0),
    )


def download(wanted: Wanted, version: Version, folder: Path) -> Path:
    """The ONNX file of a version, fetched into an empty folder.

    Raises:
        BadModelError: it cannot be had, or holds another number of ONNX files than one.
    """
    mlflow = _mlflow(wanted)
    try:
        mlflow.artifacts.download_artifacts(
            artifact_uri=f"{SCHEME}/{version.name}/{version.number}", dst_path=str(folder)
        )
    except Exception as error:  # of whatever store has the file: they share no class
        raise _refused(wanted, error) from None
    files = sorted(folder.rglob(f"*{ENDING}"))
    if len(files) != 1:
        raise BadModelError(
            f"{wanted} is version {version.number}, which holds {len(files)} ONNX files, not one",
            hint="register models with this project's export stage",
        )
    return files[0]


def _mlflow(wanted: Wanted) -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ImportError as error:
        raise MissingExtraError(
            f"{wanted} lies in an MLflow registry, and MLflow is not installed here",
            hint="pip install mlflow; or give --model the .onnx file itself; a copy that was kept "
            "is found where MLFLOW_TRACKING_URI names its registry",
        ) from error
    return mlflow


def _refuse_missing_registry(wanted: Wanted) -> None:
    """Asked for a registry that nobody named, MLflow would make an empty one right here."""
    registry = registry_asked()
    if not registry:
        raise BadModelError(
            f"{wanted} lies in an MLflow registry, and nothing says where that is",
            hint="set MLFLOW_TRACKING_URI, e.g. to https://mlflow.our-site.org or to "
            "sqlite:////data/mlruns/mlflow.db",
        )
    path = _file_of(registry)
    if path and not path.exists():
        raise AwayError(
            f"{wanted}: there is no MLflow store {path}",
            hint="MLFLOW_TRACKING_URI says where it is: sqlite:/// and the path of its file",
        )


def _file_of(registry: str) -> Path | None:
    """The file of a registry that is one."""
    named = registry.removeprefix(_SQLITE)
    return Path(named) if named != registry else None


def _refused(wanted: Wanted, error: Exception) -> BadModelError:
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return BadModelError(
        f"{wanted} cannot be had from the MLflow registry: {without_keys(reason)}",
        hint=f"{FORMS}; MLFLOW_TRACKING_URI says which registry",
    )
