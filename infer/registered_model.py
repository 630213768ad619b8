"""A model of an MLflow registry, kept in the cache for when the registry is away.

The registry is asked every time which version is meant now; what is kept is not fetched again.
Where nobody can be asked (no answer, or no MLflow here), it is what was fetched last, and that is
said. What the registry refuses is never taken from the cache.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from infer import model_cache
from infer.digest import digest
from infer.errors import AwayError, BadModelError, MissingExtraError, UadError
from infer.registry import (
    Version,
    Wanted,
    download,
    registry_asked,
    version_now,
    wanted_of,
)


class Registered(NamedTuple):
    """A registered model on this machine."""

    path: Path
    version: Mapping[str, str | None]  # which one it is, for run.json
    said: str  # what the user must know; "" if the registry could be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What an address meant when it was fetched. It holds no user and no password."""

    registry: str
    address: str
    version: Version
    file: str
    sha256: str
    fetched: str  # UTC

    @property
    def path(self) -> Path:
        """The kept file."""
        return model_cache.path_of(self.sha256, self.file)


def registered_model(address: str) -> Registered:
    """The file of a registered version on this machine, fetched unless it is here.

    Raises:
        MissingExtraError: MLflow is not installed, and no copy is kept.
        AwayError: the registry gives no answer, and no copy is kept.
        BadModelError: the registry does not have it; or the copy that is kept has changed.
        BadOutputError: the cache cannot be written.
    """
    wanted = wanted_of(address)
    try:
        version = version_now(wanted)
    except (MissingExtraError, AwayError) as away:
        return _kept(wanted, away)
    note = _noted(wanted)
    if note is None or note.version != version or not model_cache.is_intact(note.path):
        note = _fetched(wanted, version)
    return Registered(note.path, _record(note, unconfirmed=None), "")


def _fetched(wanted: Wanted, version: Version) -> Note:
    """Fetched into the cache, with a note for the next time."""
    # A copy of our own: MLflow writes notes beside what it hands out.
    with tempfile.TemporaryDirectory(prefix="uad-model-") as folder:
        file = download(wanted, version, Path(folder))
        kept = model_cache.keep(file, file.name)
    note = Note(
        registry=registry_asked(),
        address=str(wanted),
        version=version,
        file=kept.name,
        sha256=kept.parent.name,
        fetched=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    model_cache.note(_place_of_note(wanted), msgspec.json.encode(note))
    return note


def _kept(wanted: Wanted, away: UadError) -> Registered:
    """The copy of what the address meant when it was fetched last."""
    note = _noted(wanted)
    if note is None:
        raise away
    if not model_cache.is_intact(note.path):
        raise BadModelError(
            f"{away}; and the copy that was kept here is not as it was fetched: {note.path}",
            hint="fetch it anew where the registry can be asked; or give --model the .onnx file",
        ) from away
    said = (
        f"{away}: taken from the cache here is version {note.version.number}, which was meant "
        f"when it was fetched ({note.fetched})"
    )
    return Registered(note.path, _record(note, unconfirmed=str(away)), said)


def _record(note: Note, *, unconfirmed: str | None) -> dict[str, str | None]:
    return {
        "asked": note.address,
        "registry": note.registry,
        "name": note.version.name,
        "version": note.version.number,
        "run_id": note.version.run_id,
        "fetched": note.fetched,
        # Why the registry was not asked whether the address still means it; null: it was.
        "unconfirmed": unconfirmed,
    }


def _noted(wanted: Wanted) -> Note | None:
    """What was noted when the address was fetched last; nothing, if that cannot be read."""
    try:
        return msgspec.json.decode(_place_of_note(wanted).read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):  # never fetched, or damaged
        return None


def _place_of_note(wanted: Wanted) -> Path:
    named = f"{registry_asked()} {wanted}"
    return model_cache.cache() / "registered" / f"{digest(named.encode())}.json"
