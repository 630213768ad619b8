"""A process that works for another: opens a worker, and answers each piece of work with its result.

The other end is `infer.executors.processes`. First comes the function that opens the worker, then
piece after piece; to each, and to the opening, an `Answer` is given. All of it is pickled.
"""

import os
import pickle
import queue
import signal
import struct
import sys
import threading
from typing import IO, Any, Literal, NamedTuple

from infer.interruption import SIGNALS

_LENGTH = struct.Struct("<Q")  # of the pickled message that follows


class Answer(NamedTuple):
    """The worker is open; or what a piece gave; or what went wrong, after which nothing comes."""

    kind: Literal["open", "result", "error"]
    value: Any = None


def send(stream: IO[bytes], message: Any) -> None:
    """Write one message.

    Raises:
        OSError: the other end is gone.
    """
    pickled = pickle.dumps(message)
    stream.write(_LENGTH.pack(len(pickled)))
    stream.write(pickled)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read one message, still pickled.

    Raises:
        EOFError: the other end is gone.
    """
    length = stream.read(_LENGTH.size)
    pickled = stream.read(_LENGTH.unpack(length)[0]) if len(length) == _LENGTH.size else b""
    if not pickled:
        raise EOFError
    return pickled


def main() -> None:
    """Work until standard input ends."""
    # Whoever interrupts a run means our parent: this piece is finished, and no other will come.
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    # What libraries print must not get between answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(sys.stdin.buffer, inbox), daemon=True).start()
    try:
        worker = pickle.loads(inbox.get())()
        send(answers, Answer("open"))
        while True:
            send(answers, Answer("result", worker(pickle.loads(inbox.get()))))
    except BaseException as error:
        send(answers, Answer("error", sendable(error)))
    os._exit(1)  # Python would wait for the thread


def _take_in(requests: IO[bytes], inbox: "queue.SimpleQueue[bytes]") -> None:
    """When our parent is gone, however it went, so are we, at once."""
    try:
        while True:
            inbox.put(receive(requests))
    except EOFError:
        os._exit(0)


def sendable(error: BaseException) -> BaseException:
    """An exception that arrives as it was sent; some of other libraries' do not."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
