"""What tells one content from another: SHA-256, in hexadecimal."""

import hashlib
from pathlib import Path


def digest(content: bytes | memoryview) -> str:
    """The digest of bytes in memory."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str:
    """The digest of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
