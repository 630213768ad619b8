"""MOOD: 800 healthy, skull-stripped T1 brains of 256³ voxels (Zimmerer et al., MICCAI challenge).

<source>/brain_train/00000.nii.gz … 00799.nii.gz, as its archive unpacks. Each is a person of its
own. In the brain-MRI study 700 train and the rest are for the test, part of it with artificial
anomalies; as a model and its thresholds need scans to be chosen by, the last `validation` of those
700 are kept for that. `split.scheme: given` divides so.
"""

from dataclasses import dataclass
from pathlib import Path

from infer.readers import find_scans
from train.datasets.case import BadDatasetError, Case, Split, from_root

FOLDER = "brain_train"
LAYOUT = (
    f"data.source must hold {FOLDER}/ with one healthy brain a file (.nii.gz or .nii), as "
    "brain_train.zip of the MOOD challenge unpacks"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodOptions:
    """Which of the brains, in the order of their names, do what."""

    train: int  # the first so many are for fitting; the rest are tested
    validation: int  # of them, the last so many do not train but validate

    def __post_init__(self) -> None:
        if not 0 < self.validation < self.train:
            raise ValueError(
                f"validation must be at least 1 and less than train, got {self.validation} of "
                f"{self.train}"
            )


def mood_cases(source: Path, options: MoodOptions, out: Path) -> list[Case]:
    """The brains of `source`/brain_train, all normal, each with its side.

    Raises:
        BadDatasetError: they are not there, or too few to leave any for the test.
    """
    folder = source / FOLDER
    if not folder.is_dir():
        raise BadDatasetError(f"{folder} does not exist", hint=LAYOUT)
    scans = [path for path in find_scans(folder) if path.name.endswith((".nii.gz", ".nii"))]
    if not scans:
        raise BadDatasetError(f"{folder} holds no NIfTI files", hint=LAYOUT)
    if len(scans) <= options.train:
        raise BadDatasetError(
            f"{folder} holds {len(scans)} brains, and options.train takes {options.train} of them: "
            "none is left for the test",
            hint="lower data.options.train",
        )
    return [
        Case(
            scan=from_root(scan),
            group=scan.relative_to(folder).as_posix(),
            normal=True,
            mask=None,
            split=_side(at, options),
        )
        for at, scan in enumerate(scans)
    ]


def _side(at: int, options: MoodOptions) -> Split:
    if at >= options.train:
        return "test"
    return "train" if at < options.train - options.validation else "validation"
