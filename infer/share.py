"""What one run left in its output folder, read back for others to build on."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infer import output_folder
from infer.errors import BadOutputError
from infer.journal import Entry, read_entries
from infer.monitoring import monitoring_from
from infer.presence import is_file
from infer.report_csv import Row, read_rows
from infer.slices_csv import parts_in

_KILLED = "start it again: it goes on where it was"


class Share(NamedTuple):
    """What one run left in its output folder."""

    folder: Path
    run: Mapping[str, Any]  # run.json
    rows: Sequence[Row]  # report.csv
    entries: Mapping[str, Entry]  # of the scans that were scored
    parts: Sequence[str] | None  # further scores in slices.csv; None: there is no such file

    def scored(self) -> list[Entry]:
        """What is known of the report's scans that were scored."""
        return [self.entries[row.scan] for row in self.rows if row.status == "ok"]


def read_share(folder: Path) -> Share:
    """The results of a run that is over.

    Raises:
        BadOutputError: there are none, or they do not fit together.
    """
    if not is_file(folder / output_folder.JOURNAL):
        raise BadOutputError(
            f"{folder} holds no results of uad-infer", hint="--merge wants the --out of each part"
        )
    output_folder.refuse_claimed(folder)
    run = _run_in(folder)
    try:
        rows = read_rows(folder / output_folder.REPORT)
    except (OSError, ValueError, LookupError, csv.Error) as error:
        raise BadOutputError(
            f"{folder / output_folder.REPORT} cannot be read: {error}", hint=_KILLED
        ) from error
    entries = read_entries(folder / output_folder.JOURNAL)
    lost = [row.scan for row in rows if row.status == "ok" and row.scan not in entries]
    told = run["counts"]["scans"] - run["counts"]["unfinished"]
    if lost or len(rows) != told:
        raise BadOutputError(
            f"{folder} was changed after its run: {output_folder.RUN} counts {told} scans, "
            f"{output_folder.REPORT} {len(rows)}",
            hint=_KILLED,
        )
    slices = folder / output_folder.SLICES
    return Share(folder, run, rows, entries, parts_in(slices) if slices.exists() else None)


def _run_in(folder: Path) -> dict[str, Any]:
    try:
        run = json.loads((folder / output_folder.RUN).read_text(errors="surrogateescape"))
        run["counts"]["unfinished"], run["model"]["sha256"], run["options"]["part"]
        run["left_out"]
        monitoring_from([run["monitoring"]])
    except FileNotFoundError as error:
        raise BadOutputError(
            f"{folder} has no {output_folder.RUN}: its run was killed", hint=_KILLED
        ) from error
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadOutputError(
            f"{folder / output_folder.RUN} is not the record of a run", hint=_KILLED
        ) from error
    return dict(run)
