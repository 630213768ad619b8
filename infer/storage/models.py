"""Models of a store, kept in the cache: see `infer.model_cache`.

A note for each version of an address says which content it was. The store is asked every time; what
it has not changed is not fetched again.
"""

import tempfile
from pathlib import Path

from infer.digest import digest
from infer.errors import BadModelError, StoreError
from infer.model_cache import ENDING, cache, is_intact, keep, note, path_of
from infer.storage.address import STEPS, Address
from infer.storage.store import fetch, object_at
from infer.storage.stored import Stored

_LONGEST_NAME = 200  # bytes; file systems take 255
_LARGEST = 2**31  # bytes: what an ONNX file can hold


def model_here(address: Address) -> Path:
    """The file of a model on this machine, fetched unless it is here.

    Raises:
        BadModelError: there is none, or it cannot be had.
        BadOutputError: the cache cannot be written.
    """
    stored = _stored(address)
    noted = cache() / "versions" / digest(f"{address}\n{stored.version}".encode())
    if stored.version and noted.exists():
        kept = path_of(noted.read_text(encoding="ascii"), _name(address))
        if is_intact(kept):
            return kept
    kept = _fetched(stored)
    if stored.version:
        note(noted, kept.parent.name.encode("ascii"))
    return kept


def _stored(address: Address) -> Stored:
    try:
        stored = object_at(address)
    except StoreError as error:
        raise BadModelError(str(error), hint=error.hint) from error
    if stored is None:
        raise BadModelError(f"{address} is no object in its store", hint="is it a folder?")
    if stored.size > _LARGEST:
        raise BadModelError(
            f"{address} is larger than 2 GiB", hint="no ONNX file that holds its weights is"
        )
    return stored


def _fetched(stored: Stored) -> Path:
    """Fetched into the cache, whole or not at all."""
    with tempfile.TemporaryDirectory(prefix="uad-model-") as folder:
        fresh = Path(folder) / "model"
        try:
            fetch(stored.address, fresh)
        except (StoreError, FileNotFoundError, OSError) as error:
            hint = error.hint if isinstance(error, StoreError) else "is there space left?"
            raise BadModelError(f"{stored.address} cannot be fetched: {error}", hint=hint) from None
        if _stored(stored.address) != stored:
            raise BadModelError(
                f"{stored.address} was changed while it was fetched",
                hint="start again when it is complete",
            )
        return keep(fresh, _name(stored.address))


def _name(address: Address) -> str:
    """What reports call it: as in its store, if that can be a file's name here."""
    name = address.name
    fits = name not in STEPS and len(name.encode(errors="surrogateescape")) <= _LONGEST_NAME
    return name if fits and name.isprintable() and name.endswith(ENDING) else f"model{ENDING}"
