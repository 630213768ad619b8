"""Where a scan's content lies: one file, or all files of a DICOM series."""

from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A scan on the disk."""

    path: Path  # its file; of a DICOM series, the first
    series: tuple[Path, ...] = ()  # the files of a DICOM series; empty: any other format

    def size(self) -> int:
        """Bytes of its file, or of all files of its series; 0 for one that cannot be asked."""
        return sum(map(_size, self.series or (self.path,)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
