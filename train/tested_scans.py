"""Whether test scans and their masks can be read, known before hours of fits and not after them.

Nothing of them is stored: what ships reads them itself when it is tested.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from infer.errors import UnreadableScanError
from train.data import DataConfig
from train.datasets.case import Case
from train.reading import see
from train.spreading import spread


class Looked(NamedTuple):
    """What a look at a test scan has found."""

    scan: Path
    error: str  # "" if it can be used
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Looker:
    """Reads a scan and its mask as they will be read for the test, and forgets them."""

    data: DataConfig

    def __call__(self, case: Case) -> Looked:
        try:
            return Looked(case.scan, "", see(case, self.data).warnings)
        except UnreadableScanError as error:
            return Looked(case.scan, str(error))


def usable(
    cases: Sequence[Case], data: DataConfig, report: Callable[[str], None]
) -> frozenset[Path]:
    """The scans of `cases` that can be tested; the others, and what is odd, are reported."""
    found = {}
    with closing(
        spread(cases, [it.scan for it in cases], open_reader=partial(Looker, data), lost=_lost)
    ) as looks:
        for look in looks:
            found[look.scan] = look
    for case in cases:  # in their order, whichever was read first
        look = found[case.scan]
        if look.error:
            report(f"skipped {look.scan}: {look.error}")
        for warning in look.warnings:
            report(f"warning: {look.scan}: {warning}")
    kept = frozenset(scan for scan, look in found.items() if not look.error)
    if broken := len(cases) - len(kept):
        report(f"{broken} of {len(cases)} test scans were skipped")
    return kept


def _lost(case: Case, why: str) -> Looked:
    return Looked(case.scan, why)
