"""Sixty T1 scans of 45 healthy children (Pediatric Template of Brain Perfusion, Avants et al.).

Eight neighbouring axial slices each, at the level of the basal ganglia, skull and all, warped to
one template: anatomy is nearly aligned, so this is an easy normal set. Nothing in it is abnormal:
thresholds come from a false-positive rate, and tests need planted anomalies.
"""

from dataclasses import dataclass
from pathlib import Path

from train.datasets.case import BadDatasetError, Case, from_root
from train.datasets.table import read_table

LAYOUT = (
    "data.source must be a folder with scans.csv, whose columns are scan,patient and whose paths "
    "are relative to it, e.g. `images/scan-01.nii.gz,child-01`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthyT1Options:
    """Nothing to choose: the block is `options: {}`."""


def healthy_t1_cases(source: Path, options: HealthyT1Options, out: Path) -> list[Case]:
    """The scans that `source`/scans.csv names, all normal; a group is a child.

    Raises:
        BadDatasetError: the data is not there, or is not laid out so.
    """
    table = source / "scans.csv"
    if not table.is_file():
        raise BadDatasetError(f"{table} does not exist", hint=LAYOUT)
    found = read_table(table)
    if missing := {"scan", "patient"} - set(found.columns):
        raise BadDatasetError(f"{table} lacks the column {', '.join(sorted(missing))}", hint=LAYOUT)
    if not found.lines:
        raise BadDatasetError(f"{table} names no scans", hint=LAYOUT)
    return [_case(table, *line) for line in found.lines]


def _case(table: Path, at: int, line: dict[str, str]) -> Case:
    name, patient = line["scan"], line["patient"]
    if not name or not patient:
        raise BadDatasetError(f"{table}, line {at}, lacks a scan or its patient", hint=LAYOUT)
    scan = table.parent / name
    if not scan.is_file():
        raise BadDatasetError(f"{table}, line {at}: {scan} does not exist", hint=LAYOUT)
    return Case(scan=from_root(scan), group=patient, normal=True, mask=None)
