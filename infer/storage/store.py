"""Object stores, behind the few requests we make of them; fsspec is imported here and nowhere else.

Retries are the libraries' own, with growing waits: of S3, botocore's and s3fs's, after an answer of
500, 502, 503, 504 or "slow down", a connection that is cut or refused, and an answer that is too
late. Who may read and write is between the store and its library, too: nothing here knows a key.
"""

import contextlib
import errno
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from infer.address_keys import without_keys
from infer.digest import digest
from infer.errors import (
    ArchivedError,
    BadOutputError,
    MissingExtraError,
    StoreError,
    UadError,
    UnknownChoiceError,
)
from infer.storage.address import Address
from infer.storage.stored import Stored

# What is installed for a scheme; of others fsspec says it.
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_WRITTEN = "written"  # what is not there is the place then, not the object
_FULL = (errno.ENOSPC, errno.EDQUOT)
# In the order of preference: what tells one content of an object from another.
_MARKS = ("ETag", "etag", "md5Hash", "content_md5", "generation")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "created")
# Six tries: five waits, the n-th of up to 2ⁿ seconds. Of cut connections s3fs makes five of these.
_S3 = {
    "config_kwargs": {
        "retries": {"mode": "standard", "max_attempts": 6},
        "connect_timeout": 10,  # seconds
        "read_timeout": 30,
        "max_pool_connections": 64,  # workers that are threads share them
    }
}


def objects_in(folder: Address) -> Iterator[Stored]:
    """All objects below a folder, in no order; none, if there is no such folder.

    Raises:
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(folder, "listed"):
        system = _system(folder)
        try:
            found = system.find(str(folder), detail=True)
        except FileNotFoundError:
            return
        above = f"{system._strip_protocol(str(folder))}/"
    for path, info in found.items():
        if path.startswith(above) and not path.endswith("/"):  # which consoles draw as a folder
            yield _stored(folder / path.removeprefix(above), info)


def object_at(address: Address) -> Stored | None:
    """The object there, if it is one.

    Raises:
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(address, "looked up"):
        try:
            info = _system(address).info(str(address))
        except FileNotFoundError:
            return None
    return _stored(address, info) if info["type"] == "file" else None


def fetch(address: Address, to: Path) -> None:
    """Copy an object into a file.

    Raises:
        FileNotFoundError: there is none.
        BadOutputError: the disk is full.
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(address, "fetched"):
        try:
            _system(address).get_file(str(address), str(to))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise BadOutputError(
                f"{to.parent} has no room for {address}: {error.strerror}",
                hint="TMPDIR names another folder for what is fetched",
            ) from error


def content_of(address: Address) -> bytes | None:
    """A small object; nothing, if there is none.

    Raises:
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(address, "read"):
        try:
            content: bytes = _system(address).cat_file(str(address))
        except FileNotFoundError:
            return None
    return content


def beginning_of(address: Address, length: int) -> bytes:
    """The first bytes of an object; none, if it is not there.

    Raises:
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(address, "read"):
        try:
            content: bytes = _system(address).cat_file(str(address), start=0, end=length)
        except FileNotFoundError:
            return b""
    return content


def put(address: Address, content: bytes) -> Stored:
    """Put an object in the place of what is there, whole or not at all; as the store has it then.

    Raises:
        StoreError: the store cannot be reached, refuses, or has something else afterwards.
    """
    with _in_words(address, _WRITTEN):
        _system(address).pipe_file(str(address), content)
    return _as_put(address, len(content))


def put_file(address: Address, path: Path) -> Stored:
    """The same with a file's content, which may be large.

    Raises:
        StoreError: the store cannot be reached, refuses, or has something else afterwards.
    """
    with _in_words(address, _WRITTEN):
        _system(address).put_file(str(path), str(address))
    return _as_put(address, path.stat().st_size)


def create(address: Address, content: bytes) -> bool:
    """Put an object where there is none; whether it was put, as far as the store tells.

    Raises:
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(address, _WRITTEN):
        try:
            _system(address).pipe_file(str(address), content, mode="create")
        except OSError as error:
            if isinstance(error, FileExistsError) or "condition" in str(error).lower():
                return content_of(address) == content  # a try whose answer was lost may be ours
            raise
    return True


def remove(address: Address) -> None:
    """Remove an object, if it is there.

    Raises:
        StoreError: the store cannot be reached, or refuses.
    """
    with _in_words(address, "removed"), contextlib.suppress(FileNotFoundError):
        _system(address).rm_file(str(address))


def _as_put(address: Address, size: int) -> Stored:
    stored = object_at(address)
    if stored is None or stored.size != size:
        raise StoreError(
            f"{address} was written, and its store has something else there",
            hint="does anybody else write there? The same command goes on",
        )
    return stored


def _stored(address: Address, info: Mapping[str, Any]) -> Stored:
    size = int(info.get("size") or 0)
    mark = next((info[name] for name in (*_MARKS, *_TIMES) if info.get(name)), None)
    told = str(mark).strip('"')
    return Stored(address, size, digest(f"{size} {told}".encode()) if mark else "")


def _system(address: Address) -> Any:
    return _system_of(address.scheme, os.getpid())


@cache
def _system_of(scheme: str, process: int) -> Any:
    """fsspec's file system for a scheme, one for each process.

    Raises:
        UnknownChoiceError: there is none.
        MissingExtraError: its package is not installed.
    """
    try:
        import fsspec
        from fsspec.config import conf
    except ImportError as error:
        raise _missing(scheme, "fsspec") from error
    if scheme not in fsspec.available_protocols():
        raise UnknownChoiceError(
            f"{scheme}:// is no store that fsspec knows",
            hint="e.g. s3://bucket/folder, gs://bucket/folder; or a path of this machine",
        )
    # What another has written meanwhile is to be seen.
    options: dict[str, Any] = {"use_listings_cache": False}
    if EXTRAS.get(scheme) == "s3":
        options |= {name: it for name, it in _S3.items() if name not in conf.get("s3", {})}
    try:
        return fsspec.filesystem(scheme, **options)
    except ImportError as error:
        raise _missing(scheme, str(error)) from error


def _missing(scheme: str, said: str) -> MissingExtraError:
    extra = EXTRAS.get(scheme)
    how = f"pip install 'uad[{extra}]'" if extra else f"install what it asks for: {said}"
    return MissingExtraError(
        f"{scheme}:// needs a package for its store, which is not installed", hint=how
    )


@contextlib.contextmanager
def _in_words(address: Address, done: str) -> Iterator[None]:
    try:
        yield
    except UadError:
        raise
    except FileNotFoundError as error:
        if done != _WRITTEN:
            raise
        raise StoreError(
            f"{address} could not be written, its store says: {_reason(error)}",
            hint="is there such a bucket? None is made",
        ) from None
    except Exception as error:  # of botocore, aiohttp, Google's, …: they share no class
        kind = ArchivedError if _is_archived(error) else StoreError
        # Without what caused it: its pages may hold what was sent, keys among it.
        raise kind(
            f"{address} could not be {done}, its store says: {_reason(error)}", hint=_hint(error)
        ) from None


def _is_archived(error: BaseException) -> bool:
    """By S3's own code for it: the others that refuse concern keys, and so every object."""
    answer = getattr(error.__cause__, "response", None) or {}
    return bool(answer.get("Error", {}).get("Code") == "InvalidObjectState")


def _reason(error: BaseException) -> str:
    return without_keys((str(error).splitlines() or [""])[0] or type(error).__name__)


def _hint(error: BaseException) -> str:
    if isinstance(error, PermissionError) or "credentials" in type(error).__name__.lower():
        return "may you? Keys come through the store's own ways: environment, its files, a role"
    return "does the store answer? Then the same command goes on"
