"""Bytes by name, more of them than memory should hold: read back one by one, or in order.

SQLite keeps them: in memory while they are few, beyond in a file of the system's temporary folder
that nobody else can open and that is gone with us. Nothing here outlives the run.
"""

import contextlib
import itertools
import sqlite3
import struct
from collections.abc import Iterable, Iterator
from typing import TypeVar

from infer.errors import BadOutputError

Item = TypeVar("Item")
CACHE_KIB = 2048  # of each shelf that are kept in memory
AT_ONCE = 1000  # rows


class Shelf:
    """Several threads may use one in turns, not at once."""

    def __init__(self) -> None:
        # No name: SQLite's temporary database.
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        for setting in (f"cache_size=-{CACHE_KIB}", "journal_mode=OFF", "synchronous=OFF"):
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute(
            "CREATE TABLE shelf (name BLOB PRIMARY KEY, content BLOB) WITHOUT ROWID"
        )

    def put(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep each, in the place of what had its name.

        Raises:
            BadOutputError: the temporary folder is full.
        """
        with _in_words(), self._at_once():
            self._database.executemany("INSERT OR REPLACE INTO shelf VALUES (?, ?)", items)

    def add(self, name: bytes, content: bytes = b"") -> bool:
        """Keep it unless something of this name is kept already; whether it was."""
        with _in_words():
            statement = "INSERT OR IGNORE INTO shelf VALUES (?, ?)"
            return self._database.execute(statement, (name, content)).rowcount == 1

    def get(self, name: bytes) -> bytes | None:
        """What has this name."""
        found = self._database.execute("SELECT content FROM shelf WHERE name = ?", (name,))
        content: tuple[bytes] | None = found.fetchone()
        return content[0] if content else None

    def __contains__(self, name: bytes) -> bool:
        return self.get(name) is not None

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT count(*) FROM shelf").fetchone()
        return int(count)

    def discard(self, name: bytes) -> None:
        """Keep it no longer."""
        self._database.execute("DELETE FROM shelf WHERE name = ?", (name,))

    def items(self, *, start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """All, in the order of their names; what is put meanwhile may be among them or not.

        `start`: from the first on that does not come before it.
        """
        last = start
        first = True
        while True:
            found = self._database.execute(
                f"SELECT name, content FROM shelf WHERE name {'>=' if first else '>'} ? "
                "ORDER BY name LIMIT ?",
                (last, AT_ONCE),
            ).fetchall()
            yield from found
            if len(found) < AT_ONCE:
                return
            last, first = found[-1][0], False

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[None]:
        """One transaction: each would cost as much as a hundred rows."""
        self._database.execute("BEGIN")
        try:
            yield
        except BaseException:
            # Without a journal nothing can be taken back; and a full disk has ended it already.
            with contextlib.suppress(sqlite3.OperationalError):
                self._database.execute("COMMIT")
            raise
        self._database.execute("COMMIT")


def batched(many: Iterable[Item]) -> Iterator[list[Item]]:
    """In lists: what is put together costs less."""
    left = iter(many)
    while some := list(itertools.islice(left, AT_ONCE)):
        yield some


def as_name(text: str) -> bytes:
    """A text, also one that is not UTF-8; ordered as Python orders texts."""
    return text.encode(errors="surrogatepass")


def as_text(name: bytes) -> str:
    """The text that a name was."""
    return name.decode(errors="surrogatepass")


def as_place(number: int) -> bytes:
    """A number from 0; ordered as numbers are."""
    return struct.pack(">Q", number)


def falling(value: float) -> bytes:
    """A number; the largest is first in order.

    >>> sorted([-2.0, 1e-9, float("-inf"), 0.0, 3.0, float("inf")], key=falling)
    [inf, 3.0, 1e-09, 0.0, -2.0, -inf]
    """
    (bits,) = struct.unpack(">Q", struct.pack(">d", -value + 0.0))  # of two zeros, one
    return as_place(bits ^ (2**64 - 1) if bits >> 63 else bits | 1 << 63)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise BadOutputError(
            f"the temporary folder could not be written: {error}",
            hint="is there space left? TMPDIR names another",
        ) from error
