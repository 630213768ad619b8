"""How a run went, and the closing lines that say so."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from infer import output_folder
from infer.counted import counted
from infer.executors.flight import Tally
from infer.monitoring import Monitoring, in_lines
from infer.printable import printable
from infer.providers import Device
from infer.readers.left_out import in_words
from infer.record import Counts
from infer.report_csv import Row
from infer.self_test import Change
from infer.storage.address import Place

# "stopped": by too many failures.
FAILURES_TOLD = 3  # the report has them all
Outcome = Literal["finished", "interrupted", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run went."""

    outcome: Outcome
    counts: Counts
    seconds: float
    device: Device
    change: Change | None  # where the precision was reduced
    left_out: Mapping[str, int]  # files that are no scans known here, by ending
    failures: Sequence[Row]  # of some of the scans that failed
    monitoring: Monitoring
    machines: Sequence[Tally] = ()  # of a cluster
    shown: Sequence[str]  # what of the results a user is pointed to

    def in_words(self, out: Place) -> str:
        """The closing lines."""
        counts = self.counts
        scored = counts.scans - counts.resumed - counts.unfinished
        lines = [
            f"{counted(counts.scans, 'scan')}: {counts.ok} ok ({counts.anomalous} anomalous"
            + (f", {counts.warned} with a warning" if counts.warned else "")
            + f"), {counts.failed} failed; {scored} scored now in {self.seconds:.1f} s "
            f"({scored / self.seconds:.3g} scans/s) on {self.device.got} "
            f"({self.device.asked}: {self.device.reason})",
            *self._of_failures(),
        ]
        lines += [f"  on {printable(tally.in_words())}" for tally in self.machines]
        if self.left_out:
            lines.append(in_words(self.left_out))
        if self.change:
            lines.append(self.change.in_words())
        lines += in_lines(self.monitoring)
        if counts.resumed:
            lines.append(f"{counts.resumed} were done by an earlier run with the same settings")
        if counts.replaced:
            lines.append(
                f"{counts.replaced} took the place of what another model, option or version had "
                "given"
            )
        if counts.forgotten:
            lines.append(
                f"{counts.forgotten} earlier results are of scans that are no longer there: "
                "their files stay, the report leaves them out"
            )
        if self.outcome == "stopped":
            lines.append(
                f"stopped: more scans failed than --max-failures allows, {counts.unfinished} are "
                "still to do: the same command goes on"
            )
        elif counts.unfinished:
            lines.append(f"interrupted with {counts.unfinished} to do: the same command goes on")
        lines += [f"  {printable(str(out / name))}" for name in self.shown]
        return "\n".join(lines)

    def _of_failures(self) -> Iterator[str]:
        """Why some of the scans failed, a line for each, and where the rest is told."""
        for row in self.failures:
            named = row.error if row.error.startswith(row.scan) else f"{row.scan}: {row.error}"
            yield f"failed: {printable(named)}"
        if more := self.counts.failed - len(self.failures):
            yield f"failed: {more:,} more, {output_folder.REPORT} says why of each"
