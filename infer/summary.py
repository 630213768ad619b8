"""How a run went, and the closing lines that say so."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infer import output_folder
from infer.executors.flight import Tally
from infer.providers import Device
from infer.record import Counts
from infer.self_test import Change

# "stopped": by too many failures.
Outcome = Literal["finished", "interrupted", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """How a run went."""

    outcome: Outcome
    counts: Counts
    seconds: float
    device: Device
    change: Change | None  # where the precision was reduced
    machines: Sequence[Tally] = ()  # of a cluster

    def in_words(self, out: Path) -> str:
        """The closing lines."""
        counts = self.counts
        scored = counts.scans - counts.resumed - counts.unfinished
        lines = [
            f"{counts.scans} scans: {counts.ok} ok ({counts.anomalous} anomalous), "
            f"{counts.failed} failed; {scored} scored now in {self.seconds:.1f} s "
            f"({scored / self.seconds:.3g} scans/s) on {self.device.got} "
            f"({self.device.asked}: {self.device.reason})"
        ]
        lines += [f"  on {tally.in_words()}" for tally in self.machines]
        if self.change:
            lines.append(self.change.in_words())
        if counts.resumed:
            lines.append(f"{counts.resumed} were done by an earlier run with the same settings")
        if counts.forgotten:
            lines.append(
                f"{counts.forgotten} earlier results are of scans that are no longer there: "
                "their files stay, the report leaves them out"
            )
        if self.outcome == "stopped":
            lines.append(
                f"stopped: more scans failed than --max-failures allows, {counts.unfinished} are "
                "still to do; report.csv says why they failed, the same command goes on"
            )
        elif counts.unfinished:
            lines.append(f"interrupted with {counts.unfinished} to do: the same command goes on")
        places = (output_folder.PAGE, output_folder.REPORT, *output_folder.OF_SCANS)
        lines += [f"  {out / name}" for name in places if (out / name).exists()]
        return "\n".join(lines)
