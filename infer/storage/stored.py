"""An object in a store: where it is, how large, and which version of it."""

from collections.abc import Sequence
from typing import NamedTuple

from infer.digest import digest_of_all
from infer.storage.address import Address


class Stored(NamedTuple):
    """An object as its store has it."""

    address: Address
    size: int  # bytes
    version: str  # another for another content; empty: the store tells none


def version_of(objects: Sequence[Stored]) -> str:
    """One version for several objects, whatever their order; empty if one has none, or for none."""
    return digest_of_all(it.version for it in objects) if objects else ""
