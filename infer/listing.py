"""`--list`: what a run would score and what it would refuse, by headers alone; nothing is written.

What only voxels can tell (damage in them, values that are no numbers), and whether a model takes
the scan's colours, shows when it is scored.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from infer.counted import counted
from infer.errors import UnreadableScanError
from infer.part import Part
from infer.printable import printable
from infer.readers.choice import Choice
from infer.readers.claim import Claim
from infer.readers.discovery import scans_in
from infer.readers.left_out import in_words
from infer.readers.reading import claim_of
from infer.readers.source import Source
from infer.storage.address import Place

_COLUMNS = ("", "format", "size", "scan", "remark")


class Listing(NamedTuple):
    """All of an input."""

    scans: Sequence["Listed"]
    left_out: str  # in words: what of it are no scans


class Listed(NamedTuple):
    """One scan: what it claims to be, or why it would be refused."""

    scan: str  # as in the report
    claim: Claim | None
    refusal: str


def list_scans(given: Place, out: Place, choice: Choice, *, part: Part | None = None) -> Listing:
    """Every scan that an input names, or that lies in this part, in the order of its names.

    Raises:
        UnreadableScanError: there are none.
    """
    found = scans_in(given, out)
    sources = dict(found.scans.items())
    taken = (scan for scan in sorted(sources) if part is None or part.takes(scan, sources[scan]))
    scans = [_listed(scan, sources[scan], choice) for scan in taken]
    return Listing(scans, in_words(found.left_out))


def as_table(scans: Sequence[Listed]) -> str:
    """A line for each scan and one that counts them, for people."""
    rows = [_COLUMNS, *(_cells(scan) for scan in scans)]
    # The scan's name and the remark may be long: only what stands before them is aligned.
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), *row[3:]]
        )
        for row in rows
    ]
    refused = sum(scan.claim is None for scan in scans)
    lines.append(
        f"{counted(len(scans), 'scan')}: {len(scans) - refused} to score, {refused} refused"
    )
    return "\n".join(line.rstrip() for line in lines)


def as_json(scans: Sequence[Listed]) -> str:
    """A list of records, for machines; in ASCII, so that any file name survives."""
    return json.dumps([_record(scan) for scan in scans], indent=2)


def _listed(scan: str, source: Source, choice: Choice) -> Listed:
    try:
        with _here(source, choice) as found:
            return Listed(scan, claim_of(found, choice), "")
    except UnreadableScanError as error:
        return Listed(scan, None, f"{error} ({error.hint})" if error.hint else str(error))
    except MemoryError:
        return Listed(scan, None, "there is not enough memory for its header")


@contextlib.contextmanager
def _here(source: Source, choice: Choice) -> Iterator[Source]:
    """The scan with its files on this machine."""
    if not source.stored:
        yield source
        return
    from infer.storage.spool import fetching

    with fetching([source], choice) as here:
        yield here(source)


def _cells(listed: Listed) -> tuple[str, ...]:
    scan = printable(listed.scan)
    if listed.claim is None:
        return "refuse", "", "", scan, printable(listed.refusal)
    claim = listed.claim
    size = " × ".join(str(length) for length in claim.shape)
    size += " colour" if claim.colours > 1 else ""
    return "score", claim.format, f"{size} {claim.kind}", scan, "; ".join(claim.warnings)


def _record(listed: Listed) -> dict[str, object]:
    claim = listed.claim
    return {
        "scan": listed.scan,
        "status": "refuse" if claim is None else "score",
        "format": claim and claim.format,
        "shape": claim and list(claim.shape),
        "kind": claim and claim.kind,
        "colours": claim and claim.colours,
        "warning": "; ".join(claim.warnings) if claim else "",
        "error": listed.refusal,
    }
