"""`--part I/N`: the share of a folder that one of N tasks of a job array scores."""

import hashlib
import re
from typing import NamedTuple

from infer.errors import UnknownChoiceError
from infer.readers.source import Source

# Of a NIfTI pair: called after its header, once that is there.
_OF_A_PAIR = re.compile(r"\.(hdr|img)(\.gz)?\Z", re.IGNORECASE)


class Part(NamedTuple):
    """One of `of` parts, counted from 1.

    A scan's part follows from what stays the same while scans come and go, as they do while the
    tasks of an array wait for their turn: of a DICOM series from its UID, since the name of a
    series changes when its second slice arrives; of others from the name. So each scan lies in
    exactly one part; shares of a sorted list would lose scans. The price: parts differ in size by
    chance, by about the square root of what they hold.
    """

    number: int
    of: int

    def takes(self, scan: str, source: Source) -> bool:
        """Is this scan, of this name in the report, in this part?"""
        known_by = source.series_key or _OF_A_PAIR.sub("", scan)
        digest = hashlib.sha256(known_by.encode(errors="surrogateescape")).digest()
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
