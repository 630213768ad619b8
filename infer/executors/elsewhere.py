"""Open a worker in a process that may not find the modules which the sender has found."""

import pickle
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

Opening = Callable[[], Callable[[Any], Any]]


def opened_with(paths: Sequence[str], open_worker: Opening) -> Opening:
    """The same, once it has arrived: it is read there only after `paths` are searched, too.

    Every machine must have them at the same place. `infer` itself is installed on all of them.
    """
    return partial(_opened, tuple(paths), pickle.dumps(open_worker))


def _opened(paths: Sequence[str], open_worker: bytes) -> Callable[[Any], Any]:
    sys.path.extend(path for path in paths if path not in sys.path)
    opening: Opening = pickle.loads(open_worker)
    return opening()
