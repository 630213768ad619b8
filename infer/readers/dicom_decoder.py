"""Decode compressed frames in a process of their own: a decoder that crashes takes no run along.

GDCM ends the whole process on some damaged JPEG streams, as any C++ library may. So each thread
keeps a child that decodes for it: where the child dies or takes too long, that scan has failed and
the next one gets a new child. Several children also decode on several cores.

Frames go there and pixels come back as one line of JSON followed by bytes: no code travels, so a
child that was taken over by a hostile file can hand back nothing but pixels.
"""

import contextlib
import json
import math
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from infer.interruption import SIGNALS

# Not from the folder one happens to stand in (-P): what lies there is not ours.
COMMAND = [sys.executable, "-P", "-m", __name__]
SECONDS = 60  # for one frame, after which a decoder hangs
MEMORY_BYTES = 8 * 2**30  # of address space, most of it never touched
# What a decoder must know of a frame beside its bytes.
DESCRIPTION = (
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
)


class DecoderError(Exception):
    """A frame that cannot be decoded."""


class Decoder:
    """A child process, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def decode(
        self, encoded: bytes, description: Mapping[str, Any], *, syntax: str, library: str
    ) -> np.ndarray:
        """The frame's pixels `(row, column)` or `(row, column, colour)`.

        Raises:
            DecoderError: the library could not decode it, or crashed on it.
        """
        request = {**description, "syntax": syntax, "library": library, "bytes": len(encoded)}
        process = self._running()
        try:
            _send(_given(process.stdin), request, encoded)
            answer = json.loads(_given(process.stdout).readline() or b"{}")
            if "shape" in answer:
                return _pixels(_given(process.stdout), answer)
        except (OSError, ValueError):
            answer = {}
        if not answer:
            self.stop()
            raise DecoderError("the decoder crashed or hung")
        raise DecoderError(str(answer.get("error", "")))

    def stop(self) -> None:
        """End the child; the next frame starts another."""
        if self._process is not None:
            self._end()
            self._process = None

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is not None and self._process.poll() is not None:
            self.stop()
        if self._process is None:
            self._process = subprocess.Popen(
                COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what a library says of a file is not for our user
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C is for us: what is in flight is finished
            )
            # By `stop`, or when the thread is gone, or when the program ends; once.
            self._end = weakref.finalize(self, _end, self._process)
        return self._process


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.communicate()  # also closes the pipes


_OF_THREAD = threading.local()


def decoder() -> Decoder:
    """This thread's own."""
    if not hasattr(_OF_THREAD, "decoder"):
        _OF_THREAD.decoder = Decoder()
    found: Decoder = _OF_THREAD.decoder
    return found


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """The child: decode one frame after the other until the parent goes away.

    Whoever stops a run may signal all of its processes; what is in flight is finished all the same.
    """
    import signal

    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    _limit()
    while line := requests.readline():
        request = json.loads(line)
        encoded = requests.read(request["bytes"])
        with _alarm():
            try:
                pixels = np.ascontiguousarray(_decoded(encoded, request))
            except Exception as error:
                _send(answers, {"error": type(error).__name__}, b"")
                continue
        said = {"shape": pixels.shape, "kind": pixels.dtype.str}
        _send(answers, said, pixels.tobytes())


def _decoded(encoded: bytes, request: Mapping[str, Any]) -> np.ndarray:
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import UID

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(request["syntax"])
    for name in DESCRIPTION:
        if request.get(name) is not None:
            setattr(dataset, name, request[name])
    dataset.PixelData = encapsulate([encoded])
    return np.asarray(pixel_array(dataset, decoding_plugin=request["library"]))


def _send(stream: IO[bytes], said: Mapping[str, Any], content: bytes) -> None:
    stream.write(json.dumps(said).encode() + b"\n")
    stream.write(content)
    stream.flush()


def _pixels(stream: IO[bytes], answer: Mapping[str, Any]) -> np.ndarray:
    kind = np.dtype(answer["kind"])
    pixels = stream.read(math.prod(answer["shape"]) * kind.itemsize)
    return np.frombuffer(pixels, kind).reshape(answer["shape"])


def _given(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise RuntimeError("the decoder was started without pipes")
    return stream


def _limit() -> None:
    """A stream that claims too much gets no memory, rather than all of it."""
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def _alarm() -> Any:
    """The system ends this process if the block takes too long."""
    import signal

    alarm = getattr(signal, "alarm", None)  # Windows has none
    if alarm is not None:
        alarm(SECONDS)
    yield
    if alarm is not None:
        alarm(0)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
