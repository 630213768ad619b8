"""Stage `prepare` begins here: every block of a params file, checked before anything long runs.

`python -m export.stages.check params.yaml`. A misspelt key in `evaluate` is worth knowing before an
hour of training, not after it.
"""

import sys

from export.params_check import check
from train.command import run_stage

if __name__ == "__main__":
    sys.exit(run_stage(check, sys.argv[1:]))
