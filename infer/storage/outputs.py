"""Outputs of scans in a store: put whole, and known again by the version that the store gives."""

from infer.digest import digest
from infer.errors import BadOutputError
from infer.storage.address import Address
from infer.storage.store import put

_LONGEST_KEY = 1024  # bytes, of S3 and of Google's


def put_output(out: Address, name: str, content: bytes) -> str:
    """Put an output of a scan; its digest and its version there, as the journal keeps them.

    Raises:
        BadOutputError: a store can have nothing of this name.
        StoreError: the store cannot be reached, or refuses.
    """
    try:
        length = len((out / name).path.encode())
    except UnicodeEncodeError:
        length = _LONGEST_KEY + 1
    if length > _LONGEST_KEY:
        raise BadOutputError(
            f"{out} can hold nothing called {name!r}: not UTF-8, or more than {_LONGEST_KEY} bytes",
            hint="give the scan another name, or choose an --out on this machine",
        )
    return f"{digest(content)} {put(out / name, content).version}"


def version_in(token: str) -> str:
    """The version that the store gave."""
    return token.partition(" ")[2]


def digest_in(token: str) -> str:
    """The digest, as a folder's journal has it."""
    return token.partition(" ")[0]
