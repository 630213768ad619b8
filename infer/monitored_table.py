"""What `--monitor` prints: a table for each model, a line for each run."""

import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

from infer.compared import LOOKS, Axis
from infer.counted import counted
from infer.monitored_runs import LeftOut, Monitored, Run, Series
from infer.monitoring import AXES, Monitoring, in_lines
from infer.printable import printable

TOGETHER = "all together"
COLOURS = {"shifted": "bold red", "higher": "yellow", "too few scans": "dim"}
WIDE = 10_000  # columns: where there is no terminal, no line is broken


def as_table(monitored: Monitored, *, terminal: bool) -> str:
    """For people: coloured where it goes to a terminal."""
    from rich.console import Console

    text = io.StringIO()
    console = Console(
        file=text,
        force_terminal=terminal,
        width=None if terminal else WIDE,
        highlight=False,
        markup=False,
        emoji=False,
    )
    for series in monitored.series:
        console.print(title_of(series), style="bold")
        console.print(_table(series))
        for line in lines_of(series):
            console.print(line, soft_wrap=True)
        console.print()
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()).rstrip()


def as_json(monitored: Monitored) -> str:
    """For machines; in ASCII, so that any folder name survives."""
    series = [
        {
            "model": dict(it.model),
            "runs": [
                {
                    "folder": str(run.folder),
                    "finished": run.finished.isoformat(),
                    **_record(run.monitoring),
                }
                for run in it.runs
            ],
            "together": _record(it.together),
        }
        for it in monitored.series
    ]
    left_out = [{"folder": str(it.folder), "why": it.why} for it in monitored.left_out]
    return json.dumps({"models": series, "left_out": left_out}, indent=2)


def title_of(series: Series) -> str:
    """The model of a series and how much was seen of it."""
    model, scans = series.model, scans_in(series.together)
    return (
        f"{printable(str(model['method']))}, study {printable(str(model['study']))} "
        f"({printable(str(model['modality']))}), file {str(model['sha256'])[:12]}: "
        f"{counted(len(series.runs), 'run')}, {counted(scans, 'scan')}"
    )


def scans_in(monitoring: Monitoring) -> int:
    """How many were compared."""
    return max((it.scans.count for it in monitoring.compared.values()), default=0)


def said_of(monitoring: Monitoring, axis: Axis) -> str:
    """Verdict of an axis, with the largest of its distances."""
    distances = [
        judged.distance
        for name, judged in monitoring.judged.items()
        if LOOKS[name].axis == axis and judged.distance is not None
    ]
    verdict = monitoring.axes[axis]
    return f"{verdict}, D {max(distances):.2f}" if distances else verdict


def rows_of(series: Series) -> list[tuple[str, str, Monitoring]]:
    """When, which and what was found: each run, and where there are several, all together."""
    rows = [(when(run), str(run.folder), run.monitoring) for run in series.runs]
    return [*rows, ("", TOGETHER, series.together)] if len(rows) > 1 else rows


def lines_of(series: Series) -> list[str]:
    """What there is to say of the latest run; if nothing, of all together."""
    latest = [f"last run: {line}" for line in in_lines(series.runs[-1].monitoring)]
    return latest or [f"{TOGETHER}: {line}" for line in in_lines(series.together)]


def when(run: Run) -> str:
    """Day and minute, UTC."""
    return f"{run.finished:%Y-%m-%d %H:%M}"


def left_out_lines(left_out: Iterable[LeftOut]) -> list[str]:
    """A line for each folder that was left out."""
    return [f"left out: {printable(str(it.folder))}: {it.why}" for it in left_out]


def _table(series: Series) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("finished (UTC)", "scans", *AXES, "run"):
        table.add_column(name, justify="right" if name == "scans" else "left", overflow="fold")
    for finished, folder, monitoring in rows_of(series):
        cells: Sequence[Text] = [
            Text(said_of(monitoring, axis), style=COLOURS.get(monitoring.axes[axis], ""))
            for axis in AXES
        ]
        scans = f"{scans_in(monitoring):,}"
        table.add_row(finished, scans, *cells, Text(printable(folder)))
    return table


def _record(monitoring: Monitoring) -> dict[str, Any]:
    """As in run.json, without the counts that runs are added up by."""
    record = monitoring.as_record()
    for look in record["looks"].values():
        for side in ("normals", "scans"):
            del look[side]["cells"]
    return record
