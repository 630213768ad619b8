"""Spread work over a Ray cluster: each worker is an actor, a process on one of its machines.

Ray starts processes, brings them work and says which are gone. The worker itself is sent once, to
each machine once, and opened where it works. A worker that is lost, alone or with its machine,
costs what it had in flight: `infer.executors.flight` says what becomes of that. Machines that join
while the work goes on are given workers, too.
"""

import contextlib
import logging
import os
import platform
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from infer.errors import MissingExtraError, UadError, UnknownChoiceError
from infer.executors.child import Answer, sendable
from infer.executors.flight import Piece, Queue, Tally
from infer.executors.room import Machine, Room, workers_of
from infer.interruption import SIGNALS

Work = TypeVar("Work")
Result = TypeVar("Result")

INSTALL_HINT = "pip install 'uad[ray]', on every machine of the cluster"
# Before Ray is imported. It must not tell its makers that it is used.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
ADDRESS = "RAY_ADDRESS"  # as Ray's own commands read it
ANSWER_SECONDS = 10.0  # a host may take to answer
LOOK_SECONDS = 1.0  # we wait for results, until we look whether to stop
HIRE_SECONDS = 5.0  # between looks for machines that are new
PATIENCE_SECONDS = 60.0  # with a cluster that has no machine left
# With each piece that is worked on one waits beside it: the worker need not wait for us.
QUEUED = 1
MOST_FAILED_STARTS = 5  # one after the other


class Actor:
    """A worker in a process of the cluster."""

    def __init__(self) -> None:
        self._worker: Any = None

    def open(self, opening: Sequence[Any]) -> Answer:
        """Open what is sent, a reference in a list: fetched once for all workers of a machine."""
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        try:
            self._worker = library().get(opening[0])()
        except BaseException as error:
            return Answer("error", sendable(error))
        context = library().get_runtime_context()
        return Answer("open", (context.get_node_id(), platform.node()))

    def work(self, piece: Sequence[Any]) -> Answer:
        """What the worker makes of a piece."""
        try:
            return Answer("result", self._worker(piece))
        except BaseException as error:
            return Answer("error", sendable(error))


@dataclass(slots=True, eq=False)
class _Member:
    """An actor as we know it."""

    actor: Any
    opening: Any = None  # what says that it is open, until it is
    node: str = ""  # the machine's id
    given: deque[tuple[Any, Piece]] = field(default_factory=deque)  # in the order it works

    def takes_beside(self, given: int) -> bool:
        """Is it open, has it so much, and nothing over which a worker was lost already?"""
        suspects = any(piece.losses for _, piece in self.given)
        return self.opening is None and len(self.given) == given and not suspects


@contextlib.contextmanager
def connected(address: str | None) -> Iterator[None]:
    """A connection to a cluster; without an address, to one on this machine alone, meanwhile.

    Raises:
        MissingExtraError: Ray is not installed.
        UnknownChoiceError: there is no cluster at this address.
    """
    ray = library()
    _silence(ray)
    address = address or os.environ.get(ADDRESS) or "local"
    _refuse_silent(address)
    with _own_signals():
        try:
            ray.init(
                address=address,
                include_dashboard=False if address == "local" else None,
                configure_logging=False,
                log_to_driver=False,
            )
        except Exception as error:  # ConnectionError, ValueError, RuntimeError: all say it in words
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UnknownChoiceError(
                f"there is no Ray cluster at {address}: {reason}",
                hint="ray start --head prints its address; unless given, this machine is it",
            ) from error
    try:
        yield
    finally:
        with _own_signals():
            ray.shutdown()


def _refuse_silent(address: str) -> None:
    """Refuse a host and port at which nothing listens: Ray would go on asking for minutes.

    Raises:
        UnknownChoiceError: nothing answers there. Whether it is Ray shows later.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # a word of Ray's own: auto, local
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UnknownChoiceError(
            f"there is no Ray cluster at {address}: {error}",
            hint="ray start --head prints its address; unless given, this machine is it",
        ) from error


def machines() -> list[Machine]:
    """What the machines of the cluster that we are connected to offer now."""
    alive = [node["Resources"] for node in library().nodes() if node["Alive"]]
    return [Machine(int(it.get("CPU", 0)), int(it.get("GPU", 0))) for it in alive]


class RayExecutor:
    """At most as many actors as `most`, each of the size that `room` says.

    Work comes in pieces of several members, results in lists with one for each. `tallies` says what
    each machine has done so far, by its id.
    """

    def __init__(
        self, room: Room, *, most: int, retries: int, instead: Callable[[Any, str], Any]
    ) -> None:
        self._room = room
        self._most = most
        self._retries = retries
        self._instead = instead
        self._crew: list[_Member] = []
        self._failed_starts = 0
        self._looked = -HIRE_SECONDS
        self._hired = time.monotonic()
        self._begun: dict[str, float] = {}
        self.tallies: dict[str, Tally] = {}

    def map(
        self, open_worker: Callable[[], Callable[[Any], Any]], work: Iterable[Sequence[Work]]
    ) -> Generator[list[Result]]:
        """Yield one list of results per piece of work, or several, in any order.

        Raises:
            UadError: workers cannot be started, or one has met what the next would meet, too.
        """
        queue: Queue[Work, Result] = Queue(work, retries=self._retries, instead=self._instead)
        first = queue.take()
        if first is None:
            return
        queue.put_back(first)
        opening = library().put(open_worker)
        error: BaseException | None = None
        try:
            while True:
                if error is None:
                    self._hire(opening)
                    is_busy = self._give(queue)
                else:
                    is_busy = self._is_working()
                if not is_busy:
                    break
                for answer in self._answers(queue):
                    if isinstance(answer, BaseException):
                        error = error or answer
                    else:
                        yield answer
            if error is not None:
                raise error
        except GeneratorExit:
            self._finish()
            raise
        finally:
            self._dismiss()

    def _hire(self, opening: Any) -> None:
        """As many actors as there is room for, also on machines that have joined since."""
        if time.monotonic() - self._looked < HIRE_SECONDS:
            return
        self._looked = time.monotonic()
        wanted = workers_of(machines(), cores=self._room.cores, gpus=self._room.gpus)
        if wanted:
            self._hired = time.monotonic()
        remote = library().remote(Actor)
        for _ in range(min(wanted, self._most) - len(self._crew)):
            actor = remote.options(
                num_cpus=self._room.cores,
                num_gpus=self._room.gpus,
                max_concurrency=self._room.at_a_time,
                max_restarts=0,
                scheduling_strategy="SPREAD",
            ).remote()
            self._crew.append(_Member(actor, actor.open.remote([opening])))

    def _give(self, queue: Queue[Any, Any]) -> bool:
        """Give work to those who wait for it; whether anybody has any, or will."""
        # All get their first before anybody gets a second.
        for depth in range(self._room.at_a_time + QUEUED):
            for member in self._crew:
                if member.takes_beside(depth):
                    piece = queue.take(beside=depth > 0)
                    if piece is None:
                        break
                    member.given.append((member.actor.work.remote(piece.members), piece))
        if self._is_working():
            return True
        if (piece := queue.take()) is None:
            return False
        queue.put_back(piece)
        return True

    def _is_working(self) -> bool:
        return any(member.given for member in self._crew)

    def _answers(self, queue: Queue[Any, Result]) -> Iterator[list[Result] | BaseException]:
        """Results as they come; nothing, if none comes for a while."""
        ray = library()
        waited = {
            ref: member
            for member in self._crew
            for ref in (member.opening, *(ref for ref, _ in member.given))
            if ref is not None
        }
        if not waited:
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - self._hired > PATIENCE_SECONDS:
                yield UadError(
                    f"the Ray cluster has had no room for a worker for {PATIENCE_SECONDS:.0f} s",
                    hint="have its machines gone? The same command goes on where this one was",
                )
            return
        ready, _ = ray.wait(list(waited), num_returns=1, timeout=LOOK_SECONDS)
        ready, _ = ray.wait(list(waited), num_returns=len(waited), timeout=0) if ready else ([], [])
        for ref in ready:
            member = waited[ref]
            if member not in self._crew:
                continue  # lost with what it answered before
            try:
                answer: Answer = ray.get(ref)
            except ray.exceptions.RayError as lost:
                yield from self._lose(member, queue, _in_words(lost))
            else:
                yield from self._taken(member, ref, answer)

    def _taken(
        self, member: _Member, ref: Any, answer: Answer
    ) -> Iterator[list[Any] | BaseException]:
        if answer.kind == "open":
            self._failed_starts = 0
            member.opening = None
            member.node, name = answer.value
            tally = self.tallies.get(member.node, Tally(name))
            self._begun.setdefault(member.node, time.monotonic())
            self.tallies[member.node] = tally._replace(workers=tally.workers + 1)
            return
        if answer.kind == "error" and member.opening is not None:
            self._crew.remove(member)
            yield answer.value
            return
        (piece,) = (piece for own, piece in member.given if own == ref)
        member.given.remove((ref, piece))
        if answer.kind == "error":
            yield answer.value
            return
        tally = self.tallies[member.node]
        self.tallies[member.node] = tally._replace(
            scans=tally.scans + len(piece.members),
            seconds=time.monotonic() - self._begun[member.node],
        )
        yield answer.value

    def _lose(
        self, member: _Member, queue: Queue[Any, Result], reason: str
    ) -> Iterator[list[Result] | BaseException]:
        """An actor is gone, or cannot be reached, which is the same to us."""
        self._crew.remove(member)
        self._looked = -HIRE_SECONDS
        with contextlib.suppress(Exception):
            library().kill(member.actor)
        if member.opening is not None:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                yield UadError(
                    f"workers cannot be started on the cluster: {reason}",
                    hint="is uad of this version installed on each machine, and memory left?",
                )
            return
        tally = self.tallies[member.node]
        self.tallies[member.node] = tally._replace(lost=tally.lost + 1)
        pieces = [piece for _, piece in member.given]
        given_up = queue.lost(pieces, at_a_time=self._room.at_a_time, reason=reason)
        if given_up:
            yield given_up

    def _finish(self) -> None:
        """Wait until nothing is in flight; the results are lost."""
        refs = [ref for member in self._crew for ref, _ in member.given]
        if refs:
            library().wait(refs, num_returns=len(refs))

    def _dismiss(self) -> None:
        for member in self._crew:
            with contextlib.suppress(Exception):
                library().kill(member.actor)
        self._crew.clear()


def library() -> Any:
    """Ray, imported only by who asks for it.

    Raises:
        MissingExtraError: it is not installed.
    """
    os.environ.update(QUIET)
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            "--executor ray needs the package ray, which is not installed", hint=INSTALL_HINT
        ) from error
    return ray


def _silence(ray: Any) -> None:
    """Of each worker that is lost Ray prints a page among our lines; we say it in one."""
    logging.getLogger("ray").setLevel(logging.ERROR)
    # No option switches it off (`log_to_driver` concerns what workers print).
    if hasattr(ray._private.worker, "print_to_stdstream"):
        ray._private.worker.print_to_stdstream = lambda *printed, **how: None


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Ray would end us at once where a scheduler's SIGTERM asks to finish what is in flight."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {each: signal.getsignal(each) for each in SIGNALS}
    try:
        yield
    finally:
        for each, handler in kept.items():
            signal.signal(each, handler)


def _in_words(lost: BaseException) -> str:
    """Why an actor is gone, in one line: what Ray says is a page."""
    name = type(lost).__name__
    node = "node" in str(lost).lower() and ("died" in str(lost).lower())
    known = {
        "OutOfMemoryError": "its machine had no memory left",
        "ActorUnavailableError": "its machine could not be reached",
    }
    if name in known:
        return known[name]
    return "its machine is gone" if node and "NodeDied" in str(lost) else "its process ended"
