"""Whether what is fitted, and what ships, sees images by the numbers of those that are prepared.

DVC prepares and fits again where they have changed; whoever runs stages by hand may forget to, and
everything else would agree: parity on the old images, thresholds on the new ones.
"""

import json
from dataclasses import asdict
from typing import Any

from train.added_keys import without_silent
from train.data import DataConfig
from train.params import BadParamsError, Params
from train.prepared_with import SHAPING, load_numbers


def refuse_other_numbers(params: Params) -> None:
    """Say so where images would be made otherwise than when the study was prepared.

    Raises:
        BadParamsError: they would.
    """
    if changed := changed_numbers(params.study, params.block(DataConfig, "data")):
        raise BadParamsError(
            f"{params.path}: data.{', data.'.join(changed)} has changed since {params.study} was "
            "prepared, so a model would be shown other images than those",
            hint="prepare and fit again, as `dvc repro` does, or change it back",
        )


def changed_numbers(study: str, data: DataConfig) -> list[str]:
    """Those that have another value than when the study was prepared, by their names in `data`.

    None where they were not written down, as by versions of before.
    """
    then, now = load_numbers(study), asdict(data)
    if then is None:
        return []
    return [name for name in SHAPING if _said(then.get(name)) != _said(now[name])]


def _said(number: Any) -> str:
    """A number of any depth as it is written, without keys that came later and change nothing."""
    return json.dumps(without_silent(number), sort_keys=True)
