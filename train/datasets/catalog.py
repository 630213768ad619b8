"""Every dataset we can prepare, by the name used in params.yaml."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infer.errors import UnknownChoiceError
from train.data import SplitCase
from train.datasets.artificial import ArtificialOptions, healthy_cases, with_planted
from train.datasets.brats import BratsOptions, brats_cases
from train.datasets.case import Case, refuse_unusable_names
from train.datasets.folder import FolderOptions, folder_cases
from train.datasets.fundus import FundusOptions, fundus_cases
from train.datasets.head_ct import HeadCtOptions, head_ct_cases
from train.datasets.healthy_t1 import HealthyT1Options, healthy_t1_cases
from train.datasets.mood import MoodOptions, mood_cases
from train.datasets.phantom import PhantomOptions, phantom_cases
from train.params import build


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset can be asked (its block `data.options`), and how to ask it."""

    options: type[Any]
    # (source, options, out): `out` is a folder for the scans of a dataset that makes its own.
    cases: Callable[[Path, Any, Path], list[Case]]
    # What becomes of cases once each has its side, as (divided, options, out): None: nothing. Where
    # a dataset makes copies of its scans, a copy must lie on the side of its original.
    dealt: Callable[[list[SplitCase], Any, Path], list[SplitCase]] | None = None

    def find(self, source: Path, options: Any, out: Path) -> list[Case]:
        """The cases, each of a scan of its own.

        Raises:
            BadDatasetError: the data is not there, not laid out so, or has names of no use.
        """
        found = self.cases(source, options, out)
        refuse_unusable_names(found)
        return found


DATASETS = {
    "phantom": Dataset(PhantomOptions, phantom_cases),
    "head_ct": Dataset(HeadCtOptions, head_ct_cases),
    "folder": Dataset(FolderOptions, folder_cases),
    "artificial": Dataset(
        ArtificialOptions,
        lambda source, options, out: healthy_cases(_wrapped(source, options, out)),
        with_planted,
    ),
    "mood": Dataset(MoodOptions, mood_cases),
    "brats": Dataset(BratsOptions, brats_cases),
    "healthy_t1": Dataset(HealthyT1Options, healthy_t1_cases),
    "fundus": Dataset(FundusOptions, fundus_cases),
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


def _wrapped(source: Path, options: ArtificialOptions, out: Path) -> list[Case]:
    """The cases of the data set that artificial anomalies are planted into."""
    chosen = dataset(options.of)
    inner = build(chosen.options, options.options, where="data.options.options")
    return chosen.find(source, inner, out)
