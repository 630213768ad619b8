"""Files of one format → Volume."""

from infer.readers.reading import find_scans, read

__all__ = ["find_scans", "read"]
