"""An address in object storage: `s3://bucket/folder`, or of another store that fsspec knows.

It stands in reports and logs, so it never holds a key.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from infer.errors import UnknownChoiceError

# Two letters at least: one is a drive of Windows.
_FORM = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_WITH_ONE_SLASH = re.compile(r"(s3a?|gs|gcs|az|abfss?|wasbs?|https?|file):/(?!/)")
_PORT = re.compile(r":\d+")
# Azure's own form has an @ that is no user's: abfs://container@account.dfs.core.windows.net/folder
_OF_AZURE = ("abfs", "abfss", "wasb", "wasbs")
_OF_THIS_MACHINE = ("file", "local")
_OF_THE_WEB = ("http", "https")
STEPS = (".", "..")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an object or a folder of objects is; it holds no key and no password."""

    scheme: str
    path: str  # bucket and key, without a slash at its end

    def __str__(self) -> str:
        return f"{self.scheme}://{self.path}"

    def __truediv__(self, name: str) -> "Address":
        return Address(self.scheme, f"{self.path}/{name}")

    @property
    def name(self) -> str:
        """What follows the last slash."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> "Address":
        """The folder that it lies in; of a bucket, the bucket."""
        return Address(self.scheme, self.path.rpartition("/")[0] or self.path)

    def is_within(self, folder: "Address") -> bool:
        """Is it this folder, or below it?"""
        return f"{self}/".startswith(f"{folder}/")


Place: TypeAlias = Path | Address


def place_of(text: str) -> Place:
    """What a user means: an address, or else a path of this machine.

    Raises:
        UnknownChoiceError: nothing; an address with a key in it, or one that may mean another
            place.
    """
    if not text:
        raise UnknownChoiceError(
            "the name of a folder is empty", hint="is a variable of your script not set?"
        )
    if _WITH_ONE_SLASH.match(text):
        raise UnknownChoiceError(
            f"{text} is neither an address nor a path",
            hint="an address has two slashes after the colon: s3://bucket/folder",
        )
    form = _FORM.fullmatch(text)
    if form is not None:
        return _address(form[1].lower(), form[2])
    if "::" in text and "://" in text:
        raise _has_keys(text.partition("::")[0])
    return Path(text)


def refuse_web(address: Address) -> None:
    """See that folders can be listed there and objects put.

    Raises:
        UnknownChoiceError: it is on a web server.
    """
    if address.scheme in _OF_THE_WEB:
        raise UnknownChoiceError(
            f"{address} is on a web server, which lists no scans and takes no results",
            hint="only a model may be there; scans and results in a store, e.g. s3://bucket/folder",
        )


def _address(scheme: str, path: str) -> Address:
    _refuse_keys(scheme, path)
    path = path.removesuffix("/")
    whole = f"{scheme}://{path}"
    if scheme in _OF_THIS_MACHINE:
        raise UnknownChoiceError(
            f"{whole} is on this machine", hint="write it as a path, without file://"
        )
    if not all(path.split("/")) or set(path.split("/")) & set(STEPS):
        raise UnknownChoiceError(
            f"{whole} is not an address of one place: it holds no bucket, an empty step, . or ..",
            hint="e.g. s3://bucket/folder",
        )
    return Address(scheme, path)


def _refuse_keys(scheme: str, path: str) -> None:
    """See that an address holds no secret.

    Raises:
        UnknownChoiceError: it may hold one.
    """
    host = path.partition("/")[0]
    has_user = "@" in host and scheme not in _OF_AZURE
    if has_user or ":" in _PORT.sub("", host) or "?" in path or "::" in path:
        raise _has_keys(f"{scheme}://")


def _has_keys(beginning: str) -> UnknownChoiceError:
    """The address is not repeated: what is said here stands in logs."""
    return UnknownChoiceError(
        f"an address {beginning}… was given with a key, a password or options in it",
        hint="keys come through the store's own ways (environment, its files, the machine's "
        "role); an address is s3://bucket/folder and no more",
    )
