"""A stage on the command line: params file and arguments in, exit code and error lines out."""

import inspect
import sys
from collections.abc import Callable
from types import TracebackType

from infer.errors import UadError
from train.orphans import end_with_input
from train.params import load


def run_stage(stage: Callable[..., None], arguments: list[str]) -> int:
    """Run `stage(params, *arguments[1:])`; 0, or what the error the user can mend says."""
    end_with_input()
    wanted = inspect.signature(stage).parameters.values()
    needed = [it.name.upper() for it in wanted if it.default is it.empty]
    if not len(needed) <= len(arguments) <= len(wanted):
        given = " ".join(arguments) or "nothing"
        print(f"error: this stage takes {' '.join(needed)}, and was given {given}", file=sys.stderr)
        return UadError.exit_code
    try:
        stage(load(arguments[0]), *arguments[1:])
    except UadError as error:
        print(f"error: {error}", file=sys.stderr)
        if error.hint:
            print(f"hint:  {error.hint}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: the same command goes on, or begins again", file=sys.stderr)
        sys.excepthook = _without_interruptions
        raise  # Python then ends of the signal, so that a shell's loop ends, too
    return 0


def _without_interruptions(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Tell of what nobody caught, but for what the user has done himself."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
