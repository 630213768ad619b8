"""What tells one content from another: SHA-256, in hexadecimal."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

PIECE_BYTES = 2**18


def digest(content: bytes | memoryview) -> str:
    """The digest of bytes in memory."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    """The digest of a file; empty if it cannot be read."""
    try:
        # Half the time of `hashlib.file_digest` where files are small: no buffers to make.
        with path.open("rb", buffering=0) as file:
            seen = hashlib.sha256()
            while content := file.read(PIECE_BYTES):
                seen.update(content)
            return seen.hexdigest()
    except OSError:
        return ""


def digest_of_all(digests: Iterable[str]) -> str:
    """One digest for several contents, whatever their order; empty if one of them is."""
    ordered = sorted(digests)
    return digest("\n".join(ordered).encode()) if all(ordered) else ""


def digest_of_files(paths: Sequence[Path]) -> str:
    """The digest of the files of one scan; empty if one cannot be read."""
    return digest_of_all(digest_of(path) for path in paths)
