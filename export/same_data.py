"""Whether what is exported or measured was fitted to the data that is prepared now.

Where the data was divided anew since, what tests now may have trained the model, and no number of
it would be true. DVC fits again; whoever runs stages by hand may forget to.
"""

from pathlib import Path

from infer.errors import BadModelError
from train.data import data_hash

SHORT = 12  # characters of a hash, in words


def refuse_other_data(path: Path, fitted_to: str, study: str, *, hint: str) -> None:
    """Say so where a checkpoint or file is of other data than data/<study> holds.

    Raises:
        BadModelError: it is.
    """
    here = data_hash(study)
    if fitted_to != here:
        raise BadModelError(
            f"{path} was fitted to other data ({fitted_to[:SHORT]}) than is prepared for {study} "
            f"now ({here[:SHORT]}): what is test now may have trained it",
            hint=hint,
        )
