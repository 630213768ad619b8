"""An MLflow server that is away is known to be so after seconds, and told from one that says no."""

import contextlib
import os
from collections.abc import Iterator

from infer.errors import AwayError

# Unless the user says otherwise: two tries of 5 seconds.
# MLflow's own eight tries of 120 would keep a machine without a network waiting for minutes.
IMPATIENT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


@contextlib.contextmanager
def impatient() -> Iterator[None]:
    """A store that is away is known to be so after seconds, meanwhile."""
    ours = {name: it for name, it in IMPATIENT.items() if name not in os.environ}
    os.environ |= ours
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def silence_of(error: BaseException) -> OSError | None:
    """Why MLflow had no answer: no connection, too late, errors of the server; None: it had one.

    It raises the same for these as for what a server says; what `requests` had to say is the
    context. Of that, what is a ValueError, too, is about a senseless address.
    """
    for it in (error, error.__cause__, error.__context__):
        if isinstance(it, OSError) and not isinstance(it, ValueError):
            return it
    return None


def away(what: str, silence: OSError) -> AwayError:
    """What to say of a store that gave no answer."""
    return AwayError(
        f"{what} gives no answer ({type(silence).__name__})",
        hint="is it running, and does the network lead there? MLFLOW_HTTP_REQUEST_TIMEOUT "
        "(seconds) lets it take longer",
    )
