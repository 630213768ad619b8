"""What any reader of a packed file must do at least: inflate it, and nothing with what is in it."""

from collections.abc import Callable
from pathlib import Path

from infer.readers.gzip_stream import GzipStream


def open_inflating() -> Callable[[Path], int]:
    """A worker that says how many bytes are packed in a file."""
    buffer = memoryview(bytearray(2**18))

    def inflate(path: Path) -> int:
        found = 0
        with path.open("rb") as file:
            stream = GzipStream(file)
            while count := stream.readinto(buffer):
                found += count
        return found

    return inflate
