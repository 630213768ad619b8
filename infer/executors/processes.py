"""Spread work over processes of this machine, one for each worker.

Python runs in one thread of a process at a time. Where a piece of work is many short calls, as with
pictures, threads wait for each other: for a thousand of them, two processes needed 0.87 and 0.93 of
the time of two threads, their start included. And a library that crashes ends one process, not the
run: `outlive` says what becomes of its work.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import IO, Any, Generic, TypeVar

from infer.errors import UadError
from infer.executors.child import Answer, receive, send
from infer.executors.local import LocalExecutor

Work = TypeVar("Work")
Result = TypeVar("Result")

# Not from the folder one happens to stand in (-P): what lies there is not ours.
COMMAND = [sys.executable, "-P", "-c", "from infer.executors.child import main; main()"]
SECONDS_TO_END = 5  # of a process that has closed its pipes, until we no longer wait for it


class WorkerLost(Exception):
    """The process that had a piece of work has ended without an answer."""


@dataclass(frozen=True, slots=True)
class ProcessExecutor:
    """As many processes as `workers`. What opens a worker, work and results must be picklable.

    `outlive` wraps each worker on this side, and says what becomes of work that raises
    `WorkerLost`; by then, a new process stands ready.
    """

    workers: int
    outlive: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]

    def map(
        self, open_worker: Callable[[], Callable[[Work], Result]], work: Iterable[Work]
    ) -> Generator[Result]:
        """Yield one result per piece of work, in any order.

        Raises:
            UadError: a process could not be started, or has ended before it took any work.
        """
        with contextlib.ExitStack() as processes:

            def open_process() -> Callable[[Work], Result]:
                process = WorkerProcess(open_worker)
                processes.callback(process.end)
                process.start()
                return self.outlive(process)

            # A thread each: it asks, waits, and hands on what is answered.
            yield from LocalExecutor(self.workers).map(open_process, work)


def one_by_one(
    work: Callable[[Sequence[Work]], list[Result]], instead: Callable[[Work, WorkerLost], Result]
) -> Callable[[Sequence[Work]], list[Result]]:
    """The same work on several pieces at a time; where its process dies, each is tried alone.

    Of a piece over which it dies again, `instead` is the result.
    """

    def surely(pieces: Sequence[Work]) -> list[Result]:
        try:
            return work(pieces)
        except WorkerLost as lost:
            if len(pieces) > 1:
                return [result for piece in pieces for result in surely([piece])]
            return [instead(pieces[0], lost)]

    return surely


class WorkerProcess(Generic[Work, Result]):
    """A worker in a process of its own, started again when it has died."""

    def __init__(self, open_worker: Callable[[], Callable[[Work], Result]]) -> None:
        self._open_worker = open_worker
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False

    def __call__(self, piece: Work) -> Result:
        """What the worker makes of it, or raises.

        Raises:
            WorkerLost: its process has ended over it.
        """
        try:
            result: Result = self._answer_to(piece)
        except WorkerLost:
            if not self._over:
                self._kill()
                self.start()
            raise
        return result

    def start(self) -> None:
        """Start the process, and see its worker open.

        Raises:
            UadError: it ends before.
        """
        environment = {
            "OPENBLAS_NUM_THREADS": "1",
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us: what is in flight is finished
        )
        try:
            self._answer_to(self._open_worker)
        except WorkerLost as lost:
            raise UadError(
                f"a process that scores could not be started: {lost}",
                hint="is there memory left? With fewer --workers less of it is needed",
            ) from lost

    def end(self) -> None:
        """End the process for good, whatever it does."""
        self._over = True
        self._kill()

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what it was not given any more
                    _given(pipe).close()

    def _answer_to(self, message: Any) -> Any:
        process = self._process
        if process is None:
            raise WorkerLost("it was ended")
        try:
            send(_given(process.stdin), message)
            answer: Answer = pickle.loads(receive(_given(process.stdout)))
        except (EOFError, OSError):
            raise WorkerLost(_how_it_ended(process)) from None
        if answer.kind == "error":
            raise answer.value
        return answer.value


def _given(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the process was started without pipes")
    return stream


def _how_it_ended(process: "subprocess.Popen[bytes]") -> str:
    """In words. It need not be the process's own fault: the system ends what takes all memory."""
    try:
        code = process.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        return "its process closed its pipes"
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:  # real-time signals have no names
        return f"its process was ended by signal {-code}"
