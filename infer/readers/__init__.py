"""Files of one format → Volume."""

from infer.readers.reading import find_scans, read, read_with_digest

__all__ = ["find_scans", "read", "read_with_digest"]
