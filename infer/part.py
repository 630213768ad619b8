"""`--part I/N`: the share of a folder that one of N tasks of a job array scores."""

import hashlib
import re
from typing import NamedTuple

from infer.errors import UnknownChoiceError

# What `infer.readers.dicom_series` adds to a folder that holds several series.
_SERIES = re.compile(r"/series-(?:-?\d+-)?[0-9a-f]{8}\Z")


class Part(NamedTuple):
    """One of `of` parts, counted from 1.

    A scan's part follows from its name alone, of DICOM series that share a folder from that of the
    folder: what else lies there decides whether a series is called after it. So each scan lies in
    exactly one part whatever else is in the folder, also where scans come and go while the tasks of
    an array wait for their turn; shares of a sorted list would then lose scans. (But for a FOLDER
    whose own files are one series, into which files of another come: it is called after the FOLDER,
    which its parts do not know.) The price: parts differ in size by chance, by about the square
    root of what they hold.
    """

    number: int
    of: int

    def takes(self, scan: str) -> bool:
        """Is this scan, by its name in the report, in this part?"""
        place = _SERIES.sub("", scan)
        digest = hashlib.sha256(place.encode(errors="surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def part_of(text: str) -> Part:
    """What `I/N` says.

    Raises:
        UnknownChoiceError: it is not I/N with I from 1 to N.

    >>> part_of("2/10")
    Part(number=2, of=10)
    """
    said = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    if said is None or not 1 <= int(said[1]) <= int(said[2]):
        raise UnknownChoiceError(
            f"{text!r} is not a part",
            hint="--part 2/10 is the second of ten: I/N, I from 1 to N; or auto",
        )
    return Part(int(said[1]), int(said[2]))
