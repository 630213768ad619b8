"""A stage on the command line: params file and arguments in, exit code and error lines out."""

import sys
from collections.abc import Callable

from infer.errors import UadError
from train.params import load


def run_stage(stage: Callable[..., None], arguments: list[str]) -> int:
    """Run `stage(params, *arguments[1:])`; 0, or what the error the user can mend says."""
    try:
        stage(load(arguments[0]), *arguments[1:])
    except UadError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint:  {error.hint}", file=sys.stderr)
        return error.exit_code
    return 0
