"""The prepared data of a study: what its tables hold, and how to read them back.

data/<study>/cases.csv    every case: scan, group, label (normal or abnormal), mask, split, and
                          kind where the dataset knows of any
data/<study>/images.csv   one line per image: row, scan, slice, split, label
data/<study>/images.npy   float32 (row, channel, height, width) in [0, 1]: train and validation;
                          (row, channel, depth, height, width) where whole volumes are looked at
"""

import csv
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from infer.errors import UadError
from infer.intensity import Intensity
from infer.preprocessing import Preprocessing
from infer.shapes import Images
from infer.slicing import Plane
from train.datasets.case import Case
from train.paths import data_folder

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SMALLEST, LARGEST, STEP = 32, 256, 32  # pixels; what halves to a bottleneck asks for more


@dataclass(frozen=True, slots=True, kw_only=True)
class DataIntensity:
    """How voxel values become prepared images; see `infer.intensity.Intensity`."""

    recipe: Literal["window", "percentile"]
    low: float
    high: float

    def __post_init__(self) -> None:
        self.to_range(0.0, 1.0)

    def to_range(self, low: float, high: float) -> Intensity:
        """The same recipe with `low` to `high` as what a network gets."""
        return Intensity(
            recipe=self.recipe, low=self.low, high=self.high, output_low=low, output_high=high
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which scans a study is about, and how they become images: the block `data`."""

    dataset: str
    source: str
    modality: str
    channels: int
    image_size: tuple[int, ...]  # (height, width) of slices; (depth, height, width): whole volumes
    plane: Plane
    intensity: DataIntensity
    preprocessing: Preprocessing
    options: dict[str, Any]  # the dataset's own, see its module

    def __post_init__(self) -> None:
        if self.channels < 1:
            raise ValueError(f"channels must be at least 1, got {self.channels}")
        if len(self.image_size) not in (2, 3):
            raise ValueError(
                "image_size must be [height, width] for slices or [depth, height, width] for "
                f"volumes, got {list(self.image_size)}"
            )
        if any(not SMALLEST <= side <= LARGEST or side % STEP for side in self.image_size):
            raise ValueError(
                f"image_size must be of multiples of {STEP} from {SMALLEST} to {LARGEST}, "
                f"got {list(self.image_size)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCase:
    """A case and the side it is on."""

    case: Case
    split: Split


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRow:
    """Where one prepared image comes from; its row number is its place in the table."""

    scan: Path
    slice: int
    split: Split
    normal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that `prepare` writes of a study."""

    cases: list[SplitCase]
    rows: list[ImageRow]
    images: Images  # one per row, in [0, 1]


def save(folder: Path, prepared: Prepared) -> None:
    """Write the three files into `folder`; equal content gives equal bytes."""
    _write_cases(folder / "cases.csv", prepared.cases)
    lines = ((row, *_image_line(image)) for row, image in enumerate(prepared.rows))
    _write_csv(folder / "images.csv", IMAGE_COLUMNS, lines)
    np.save(folder / "images.npy", prepared.images)


def load_cases(study: str) -> list[SplitCase]:
    """Every case of a prepared study, in the order of its table.

    Raises:
        UadError: the study has not been prepared.
    """
    return [_case_of(line) for line in _read_csv(_table(study, "cases.csv"))]


def load_rows(study: str) -> list[ImageRow]:
    """Where each prepared image comes from, row by row.

    Raises:
        UadError: the study has not been prepared.
    """
    return [_row_of(line) for line in _read_csv(_table(study, "images.csv"))]


def load_images(study: str, split: Split) -> tuple[Images, np.ndarray]:
    """The images of one split `(row, channel, *image_size)`, and which of them are abnormal.

    Test images are never here: what ships reads the test scans itself.

    Raises:
        UadError: the study has not been prepared.
    """
    chosen = [(row, image) for row, image in enumerate(load_rows(study)) if image.split == split]
    store = np.load(_table(study, "images.npy"), mmap_mode="r")
    images = np.array(store[[row for row, _ in chosen]], np.float32)
    return images, np.array([not image.normal for _, image in chosen], bool)


def data_hash(study: str) -> str:
    """One name for exactly these cases, splits and images: SHA-256 of the three files."""
    digest = hashlib.sha256()
    for name in ("cases.csv", "images.csv", "images.npy"):
        with _table(study, name).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


CASE_COLUMNS = ("scan", "group", "label", "mask", "split")
IMAGE_COLUMNS = ("row", "scan", "slice", "split", "label")


def _write_cases(path: Path, cases: list[SplitCase]) -> None:
    """Without the column `kind` where no case has one."""
    if any(it.case.kind for it in cases):
        lines = ((*_case_line(it), it.case.kind) for it in cases)
        _write_csv(path, (*CASE_COLUMNS, "kind"), lines)
    else:
        _write_csv(path, CASE_COLUMNS, map(_case_line, cases))


def _case_line(it: SplitCase) -> tuple[str, ...]:
    mask = "" if it.case.mask is None else it.case.mask.as_posix()
    return it.case.scan.as_posix(), it.case.group, _label(it.case.normal), mask, it.split


def _image_line(image: ImageRow) -> tuple[str | int, ...]:
    return image.scan.as_posix(), image.slice, image.split, _label(image.normal)


def _label(normal: bool) -> str:
    return "normal" if normal else "abnormal"


def _case_of(line: dict[str, str]) -> SplitCase:
    case = Case(
        scan=Path(line["scan"]),
        group=line["group"],
        normal=line["label"] == "normal",
        mask=Path(line["mask"]) if line["mask"] else None,
        kind=line.get("kind", ""),
    )
    return SplitCase(case=case, split=cast(Split, line["split"]))


def _row_of(line: dict[str, str]) -> ImageRow:
    return ImageRow(
        scan=Path(line["scan"]),
        slice=int(line["slice"]),
        split=cast(Split, line["split"]),
        normal=line["label"] == "normal",
    )


def _table(study: str, name: str) -> Path:
    path = data_folder(study) / name
    if not path.exists():
        raise UadError(
            f"{path} does not exist: study {study!r} has not been prepared",
            hint="run `python -m train.stages.prepare` with the study's params file",
        )
    return path


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_csv(path: Path, columns: tuple[str, ...], lines: Iterable[tuple[Any, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(lines)
