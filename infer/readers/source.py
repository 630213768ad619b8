"""Where a scan's content lies: one file, or all files of a DICOM series."""

from pathlib import Path
from typing import NamedTuple


class Source(NamedTuple):
    """A scan on the disk."""

    path: Path  # its file; of a DICOM series, the first
    series: tuple[Path, ...] = ()  # the files of a DICOM series; empty: any other format
