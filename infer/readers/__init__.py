"""Files of one format → Volume."""

from infer.readers.discovery import find_scans, find_sources
from infer.readers.reading import (
    read,
    read_series,
    read_with_digest,
)

__all__ = ["find_scans", "find_sources", "read", "read_series", "read_with_digest"]
