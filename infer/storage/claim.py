"""One run at a time writes to a folder of a store: it holds an object there, and renews it.

A store has no locks that end with a process. So the object says, every few seconds anew, that its
run is alive; one that has not changed for a while was left behind by a run that was killed, and may
be taken. Creating it is the store's own "only if there is none" where it has that, as S3 has. What
is written when a run loses its claim all the same (its machine slept, the network was away) is
nothing any more: it stops before the next journal entry.
"""

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator

from infer.errors import BadOutputError, StoreError
from infer.storage.address import Address
from infer.storage.store import content_of, create, put, remove

BEAT_SECONDS = 5.0  # between two renewals
STALE_SECONDS = 30.0  # unchanged for so long: its run is gone
SETTLE_SECONDS = 2.0  # after taking a stale claim: somebody else may have taken it as well
LOOK_SECONDS = 1.0


class Claim:
    """The object of one run, and the thread that renews it."""

    def __init__(self, lock: Address, out: Address, also: Callable[[], None]) -> None:
        self._lock = lock
        self._out = out
        self._also = also
        self._token = secrets.token_hex(8)
        self._beats = 0
        self._ended = threading.Event()
        self._lost = threading.Event()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder; `also` is called at each renewal.

        Raises:
            BadOutputError: another run holds it.
            StoreError: the store cannot be reached, or refuses.
        """
        self._take()
        beating = threading.Thread(target=self._beat, daemon=True)
        beating.start()
        try:
            yield
        finally:
            self._ended.set()
            beating.join()
            with contextlib.suppress(StoreError):
                if self._is_ours():
                    remove(self._lock)

    def refuse_lost(self) -> None:
        """See that the folder is still ours.

        Raises:
            BadOutputError: it is not.
        """
        if self._lost.is_set():
            raise BadOutputError(
                f"the hold on {self._out} was lost: its store was away, or another run took it",
                hint="if no other uad-infer writes there, the same command goes on",
            )

    def _content(self, beats: int | None = None) -> bytes:
        """What the lock says after so many renewals, or after those that there were."""
        said = self._beats if beats is None else beats
        return json.dumps({"run": self._token, "beats": said}).encode()

    def _is_ours(self) -> bool:
        """A renewal that failed may have arrived all the same, its answer alone being lost."""
        return content_of(self._lock) in (self._content(), self._content(self._beats + 1))

    def _take(self) -> None:
        while not create(self._lock, self._content()):
            if not self._is_left_behind():
                continue
            put(self._lock, self._content())
            time.sleep(SETTLE_SECONDS)
            if content_of(self._lock) == self._content():
                return
            raise self._is_held()

    def _is_left_behind(self) -> bool:
        """Has nobody renewed it for long? No, if it is gone meanwhile.

        Raises:
            BadOutputError: somebody has.
        """
        seen = content_of(self._lock)
        start = time.monotonic()
        while seen is not None and time.monotonic() - start < STALE_SECONDS:
            time.sleep(min(LOOK_SECONDS, STALE_SECONDS))
            now = content_of(self._lock)
            if now is not None and now != seen:
                raise self._is_held()
            seen = now
        return seen is not None

    def _is_held(self) -> BadOutputError:
        return BadOutputError(
            f"another uad-infer is writing to {self._out}",
            hint="wait for it to end, or choose another --out",
        )

    def _beat(self) -> None:
        renewed = time.monotonic()
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if not self._is_ours():
                    self._lost.set()
                    return
                put(self._lock, self._content(self._beats + 1))
                self._beats += 1
                renewed = time.monotonic()
                self._also()
            except StoreError:
                if time.monotonic() - renewed > STALE_SECONDS:
                    self._lost.set()
                    return
