"""Where a model comes from: a file, a store (`s3://…`), or an MLflow registry (`models:/…`)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from infer.registry import SCHEME
from infer.storage.address import Address, place_of


class ModelFile(NamedTuple):
    """A model on this machine."""

    path: Path
    # Which registered version it is, and how that is known; None: it was a plain file.
    registered: Mapping[str, str | None] | None = None
    address: str | None = None  # in object storage; None: it was not there


def located(model: Path | str, tell: Callable[[str], None]) -> ModelFile:
    """The file of a model, fetched into the cache if it is elsewhere.

    Args:
        tell: is told what the user must know, if it is not certainly what was asked for.

    Raises:
        MissingExtraError: it lies in a registry or a store whose library is not installed.
        AwayError: the registry gives no answer, and no copy is kept.
        BadModelError: the registry or the store does not have it, or the store does not answer.
        BadOutputError: the cache cannot be written.
        UnknownChoiceError: its address is none, or has a key in it.
    """
    if str(model).startswith(SCHEME):
        return _registered(str(model), tell)
    place = place_of(str(model))
    return ModelFile(place) if isinstance(place, Path) else _stored(place)


def _registered(address: str, tell: Callable[[str], None]) -> ModelFile:
    from infer.registered_model import registered_model

    found = registered_model(address)
    if found.said:
        tell(found.said)
    return ModelFile(found.path, registered=found.version)


def _stored(address: Address) -> ModelFile:
    from infer.storage.models import model_here

    return ModelFile(model_here(address), address=str(address))
