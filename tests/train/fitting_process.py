"""One of the processes of a fit, as `torchrun` starts it; tests read what it tells in files.

`fitting_process.py FOLDER METHOD...`: in FOLDER lies params.yaml, and each method's losses, record
by record, are written there. Where `DIE_AT` is set, the second process kills itself at that record,
once.
"""

import json
import os
import signal
import sys
from pathlib import Path

from tests.train.told_run import Told
from train import session, tracking
from train.command import run_stage
from train.stages.fit import fit


def fit_and_tell(folder, methods):
    """Fit, as the stage does, with its state put aside at every record."""
    os.chdir(folder)
    session.RESUME_SECONDS = -1
    tracking.start = lambda *given, **named: Told()
    forget, average = session.Session.forget, session.averaged

    def tell(self):
        if self.fabric.is_global_zero:
            Path(f"{self.task.method}.json").write_text(json.dumps(self.progress.history))
        forget(self)

    def average_or_die(fabric, losses):
        average_or_die.records += 1
        mark = Path("died")
        doomed = average_or_die.records == int(os.environ.get("DIE_AT", 0))
        if doomed and fabric.global_rank == 1 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return average(fabric, losses)

    average_or_die.records = 0
    session.Session.forget, session.averaged = tell, average_or_die
    return max(run_stage(fit, ["params.yaml", method]) for method in methods)


if __name__ == "__main__":
    sys.exit(fit_and_tell(sys.argv[1], sys.argv[2:]))
