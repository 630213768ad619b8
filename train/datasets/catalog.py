"""Every dataset we can prepare, by the name used in params.yaml."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.errors import UnknownChoiceError
from train.datasets.case import Case
from train.datasets.folder import FolderOptions, folder_cases
from train.datasets.head_ct import HeadCtOptions, head_ct_cases
from train.datasets.phantom import PhantomOptions, phantom_cases


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset can be asked (its block `data.options`), and how to ask it."""

    options: type[Any]
    # (source, options, out): `out` is a folder for the scans of a dataset that makes its own.
    cases: Callable[[Path, Any, Path], list[Case]]


DATASETS = {
    "phantom": Dataset(PhantomOptions, phantom_cases),
    "head_ct": Dataset(HeadCtOptions, head_ct_cases),
    "folder": Dataset(FolderOptions, folder_cases),
}


def dataset(name: str) -> Dataset:
    """The dataset called `name`.

    Raises:
        UnknownChoiceError: there is none.
    """
    if name not in DATASETS:
        raise UnknownChoiceError(
            f"dataset {name!r} is unknown", hint=f"known: {', '.join(DATASETS)}"
        )
    return DATASETS[name]
