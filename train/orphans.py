"""Work ends with the run that asked for it: one that was killed cannot end its helpers itself.

Going on alone, they would write the same files as the run that is started again.
"""

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable

# Set for a stage whose standard input is held open by the run that started it.
WITH_INPUT = "UAD_ENDS_WITH_INPUT"


def end_with_parent() -> None:
    """End this process, one of multiprocessing's, as soon as the one that started it is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        _watch(lambda: multiprocessing.connection.wait([parent.sentinel]))


def end_with_input() -> None:
    """End this process when its input ends, if it was started so: nothing is ever written to it."""
    if os.environ.get(WITH_INPUT):
        _watch(lambda: os.read(sys.stdin.fileno(), 1))


def _watch(wait: Callable[[], object]) -> None:
    def until_then() -> None:
        wait()
        os._exit(1)  # at once, whatever is under way: it can be gone on with

    threading.Thread(target=until_then, daemon=True).start()
