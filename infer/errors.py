"""What can go wrong for a user, and what to do about it.

UadError                 2
    UnreadableScanError  row the file is not the image it claims to be: a failed row, not an exit
    UnknownChoiceError   2   a name or value we do not know: device, overlays, unit
    BadModelError        2   the model file is damaged, foreign, or from a newer version
    BadOutputError       2   the output folder cannot be used
    StoreError           2   an object store cannot be reached, or refuses
        ArchivedError    2   it has the object in an archive
    AwayError            2   an MLflow store gives no answer
    MissingExtraError    2   an optional package is not installed
"""


class UadError(Exception):
    """A mistake the user can mend: a message says what happened, a hint what to do."""

    exit_code = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UnreadableScanError(UadError):
    """A scan that is not what it claims to be, or that this model cannot take."""


class UnknownChoiceError(UadError):
    """A name or value we do not know."""


class BadModelError(UadError):
    """A model file that is damaged, foreign, or written by a newer version."""


class BadOutputError(UadError):
    """An output folder that cannot be written, or that holds something else."""


class StoreError(UadError):
    """An object store that cannot be reached, or that refuses."""


class ArchivedError(StoreError):
    """An object that its store has put into an archive: it must be restored before it is read."""


class AwayError(UadError):
    """An MLflow store, registry of models, that gives no answer; not one that says no."""


class MissingExtraError(UadError):
    """An optional package that is not installed."""
