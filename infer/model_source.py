"""Where a model comes from: a file, a store (`s3://…`), or an MLflow registry (`models:/…`)."""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from infer.errors import BadModelError, MissingExtraError
from infer.storage.address import Address, place_of

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


class ModelFile(NamedTuple):
    """A model on this machine."""

    path: Path
    registered: Mapping[str, str] | None = None  # which version it is; None: it was a plain file
    address: str | None = None  # in object storage; None: it was not there


@contextlib.contextmanager
def located(model: Path | str) -> Iterator[ModelFile]:
    """The file of a model; one from a registry is there only meanwhile.

    Raises:
        MissingExtraError: it lies in a registry or a store whose library is not installed.
        BadModelError: the registry or the store does not have it.
        UnknownChoiceError: its address is none, or has a key in it.
    """
    if str(model).startswith(SCHEME):
        # A copy of our own: MLflow writes notes beside what it hands out.
        with tempfile.TemporaryDirectory(prefix="uad-model-") as folder:
            yield _fetched(str(model), Path(folder))
        return
    place = place_of(str(model))
    yield ModelFile(place) if isinstance(place, Path) else _stored(place)


def _stored(address: Address) -> ModelFile:
    from infer.storage.models import model_here

    return ModelFile(model_here(address), address=str(address))


def _fetched(address: str, folder: Path) -> ModelFile:
    mlflow = _mlflow(address)
    _refuse_unset_registry(mlflow, address)
    try:
        version = _version(mlflow.MlflowClient(), address)
        mlflow.artifacts.download_artifacts(
            artifact_uri=f"models:/{version.name}/{version.version}", dst_path=str(folder)
        )
    except BadModelError:
        raise
    except Exception as error:  # of MLflow, of its database, of the network: all say it in words
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadModelError(
            f"{address} cannot be had from the MLflow registry: {reason}",
            hint=f"{FORMS}; MLFLOW_TRACKING_URI says which registry",
        ) from error
    files = sorted(folder.rglob("*.onnx"))
    if len(files) != 1:
        raise BadModelError(
            f"{address} is version {version.version}, which holds {len(files)} ONNX files, not one",
            hint="register models with this project's export stage",
        )
    registered = {"asked": address, "name": version.name, "version": str(version.version)}
    return ModelFile(files[0], registered | {"run_id": version.run_id or ""})


def _mlflow(address: str) -> Any:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ImportError as error:
        raise MissingExtraError(
            f"{address} lies in an MLflow registry, and MLflow is not installed here",
            hint="pip install mlflow; or give --model the .onnx file itself",
        ) from error
    return mlflow


def _refuse_unset_registry(mlflow: Any, address: str) -> None:
    """Asked for a registry that nobody named, MLflow would make an empty one right here."""
    if not (mlflow.is_tracking_uri_set() or os.environ.get("MLFLOW_REGISTRY_URI")):
        raise BadModelError(
            f"{address} lies in an MLflow registry, and nothing says where that is",
            hint="set MLFLOW_TRACKING_URI, e.g. to sqlite:////data/mlruns/mlflow.db",
        )
    store = urlsplit(mlflow.get_registry_uri())
    if store.scheme == "sqlite" and not Path(store.path[1:]).exists():
        raise BadModelError(
            f"{address}: there is no MLflow store {store.path[1:]}",
            hint="MLFLOW_TRACKING_URI says where it is: sqlite:/// and the path of its file",
        )


def _version(client: Any, address: str) -> Any:
    """The version that `models:/name@alias` or `models:/name/version` means."""
    named = address.removeprefix(SCHEME).lstrip("/")
    name, _, alias = named.rpartition("@")
    if name and alias:
        return client.get_model_version_by_alias(name, alias)
    name, _, number = named.rpartition("/")
    if name and number.isdecimal():
        return client.get_model_version(name, number)
    raise BadModelError(f"{address} names no version of a model", hint=FORMS)
