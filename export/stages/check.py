"""Stage `prepare` begins here: every block of a params file, checked before anything long runs.

`python -m export.stages.check params.yaml`. A misspelt key in `evaluate` is worth knowing before an
hour of training, not after it.
"""

import sys

from export.copied_study import refuse_copies
from export.params_check import check
from train.command import run_stage
from train.params import Params


def check_study(params: Params) -> None:
    """Its file, and that it is not another's."""
    check(params)
    refuse_copies(params)


if __name__ == "__main__":
    sys.exit(run_stage(check_study, sys.argv[1:]))
