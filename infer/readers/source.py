"""Where a scan's content lies: one file, or all files of a DICOM series; here or in a store."""

from pathlib import Path
from typing import NamedTuple

from infer.storage.stored import Stored


class Source(NamedTuple):
    """A scan on the disk, or in object storage: then its paths are only names."""

    path: Path  # its file; of a DICOM series, the first
    series: tuple[Path, ...] = ()  # the files of a DICOM series; empty: any other format
    stored: tuple[Stored, ...] = ()  # its objects; empty: it is on the disk
    series_key: str = ""  # what its series is known by, whatever else lies there; see `infer.part`

    def size(self) -> int:
        """Bytes of its file, or of all files of its series; 0 for one that cannot be asked."""
        if self.stored:
            return sum(it.size for it in self.stored)
        return sum(map(_size, self.series or (self.path,)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
