"""The prepared data of a study: what its tables hold, and how to read them back.

data/<study>/cases.csv    every case: scan, group, label (normal or abnormal), mask, split, and
                          kind and size_mm where the dataset knows of any
data/<study>/images.csv   one line per image: row, scan, slice, split, label; what else is known:
                          group, position (of the slice's middle, as a share of the stack) and
                          foreground (its share of the image, see `train.reading`)
data/<study>/images.npy   (row, channel, height, width), train and validation: float32 or float16 in
                          [0, 1], or uint8 from 0 to 255; (row, channel, depth, height, width) where
                          whole volumes are looked at
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from infer.colours import Colours, check_colours
from infer.errors import UadError
from infer.intensity import Inside, Intensity
from infer.preprocessing import Preprocessing
from infer.shapes import Images
from infer.slicing import Plane, SliceRange, check_slice_range
from train.datasets.case import Case
from train.datasets.case import Split as Split
from train.paths import data_folder
from train.stored_images import StoredImages, StoreType

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
SMALLEST, LARGEST, STEP = 32, 256, 32  # pixels; what halves to a bottleneck asks for more
SHALLOWEST = 4  # of volumes: stacks of few slices are worth looking at as a whole, too


@dataclass(frozen=True, slots=True, kw_only=True)
class DataIntensity:
    """How voxel values become prepared images; see `infer.intensity.Intensity`."""

    recipe: Literal["window", "percentile", "zscore"]
    low: float
    high: float
    inside: Inside  # whose percentiles, or mean and deviation

    def __post_init__(self) -> None:
        self.to_range(0.0, 1.0)

    def to_range(self, low: float, high: float) -> Intensity:
        """The same recipe with `low` to `high` as what a network gets."""
        return Intensity(
            recipe=self.recipe,
            low=self.low,
            high=self.high,
            output_low=low,
            output_high=high,
            inside=self.inside,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Which scans a study is about, and how they become images: the block `data`."""

    dataset: str
    source: str
    modality: str
    channels: int
    colours: Colours  # which it sees; empty: all, or their luminance
    image_size: tuple[int, ...]  # (height, width) of slices; (depth, height, width): whole volumes
    plane: Plane
    slice_range: SliceRange  # which slices are looked at, as shares of the volume
    intensity: DataIntensity
    preprocessing: Preprocessing
    store: StoreType
    smallest_foreground: float  # share of an image; slices with less are not stored. 0: all are
    options: dict[str, Any]  # the dataset's own, see its module

    def __post_init__(self) -> None:
        check_slice_range(self.slice_range, self.image_size)
        check_colours(self.colours, self.channels)
        if self.channels < 1:
            raise ValueError(f"channels must be at least 1, got {self.channels}")
        if len(self.image_size) not in (2, 3):
            raise ValueError(
                "image_size must be [height, width] for slices or [depth, height, width] for "
                f"volumes, got {list(self.image_size)}"
            )
        if any(not SMALLEST <= side <= LARGEST or side % STEP for side in self.image_size[-2:]):
            raise ValueError(
                f"image_size must be of multiples of {STEP} from {SMALLEST} to {LARGEST}, "
                f"got {list(self.image_size)}"
            )
        for depth in self.image_size[:-2]:
            if not SHALLOWEST <= depth <= LARGEST or depth % SHALLOWEST:
                raise ValueError(
                    f"the depth in image_size must be a multiple of {SHALLOWEST} from "
                    f"{SHALLOWEST} to {LARGEST}, got {depth}"
                )
        if not 0 <= self.smallest_foreground < 1:
            raise ValueError(
                f"smallest_foreground must be from 0 to below 1, got {self.smallest_foreground}"
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
    group: str = ""
    position: float = 0.5  # of the slice's middle along the stack, from 0 to 1
    foreground: float = 1.0  # share of the image


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What is known of a study's cases and images."""

    cases: list[SplitCase]
    rows: list[ImageRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared(Tables):
    """All that is stored of a study whose images fit into memory."""

    images: Images  # one per row, in [0, 1]


def save(folder: Path, prepared: Prepared) -> None:
    """Write the three files into `folder`; equal content gives equal bytes."""
    save_tables(folder, prepared)
    np.save(folder / IMAGES, prepared.images)


def save_tables(folder: Path, tables: Tables) -> None:
    """Write what is known of images that `folder` holds already."""
    _write_cases(folder / "cases.csv", tables.cases)
    lines = ((row, *_image_line(image)) for row, image in enumerate(tables.rows))
    _write_csv(folder / "images.csv", IMAGE_COLUMNS, lines)


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
    images, abnormal = open_images(study, split)
    return images[:], abnormal


def open_images(study: str, split: Split) -> tuple[StoredImages, np.ndarray]:
    """The same without reading them: a split may be larger than memory.

    Raises:
        UadError: the study has not been prepared.
    """
    chosen = [(row, image) for row, image in enumerate(load_rows(study)) if image.split == split]
    rows = np.array([row for row, _ in chosen], np.int64)
    abnormal = np.array([not image.normal for _, image in chosen], bool)
    return StoredImages(open_store(study), rows), abnormal


def open_store(study: str) -> np.ndarray:
    """Every image as it is stored, memory-mapped: one per row of images.csv.

    Raises:
        UadError: the study has not been prepared.
    """
    return np.asarray(np.load(_table(study, IMAGES), mmap_mode="r"))


class PreparedAnewError(UadError):
    """Data that the stage `prepare` has replaced while they were read."""

    def __init__(self, study: str) -> None:
        super().__init__(
            f"{data_folder(study)} was prepared anew while it was read",
            hint="type the same command again",
        )


@contextmanager
def not_replaced(study: str) -> Iterator[None]:
    """What is opened within, and the hash that is taken of it, are of the same prepared data.

    Raises:
        PreparedAnewError: the stage `prepare` has put others in their place meanwhile.
    """
    before = _state_of(study)
    try:
        yield
    except (OSError, LookupError, ValueError) as error:  # tables of one, images of the other
        if _state_of(study) != before:
            raise PreparedAnewError(study) from error
        raise
    if _state_of(study) != before:
        raise PreparedAnewError(study)


def _state_of(study: str) -> list[tuple[int, int]]:
    files = (_table(study, it).stat() for it in ("cases.csv", "images.csv", IMAGES))
    return [(it.st_size, it.st_mtime_ns) for it in files]


def data_hash(study: str) -> str:
    """One name for exactly these cases, splits and images: SHA-256 of the three files.

    Of the table of images, the columns that say which image is which. What else is known of them
    follows from the scans, and data that had a name before it was written down keeps that name.
    """
    naming = io.StringIO(newline="")
    rows = _read_csv(_table(study, "images.csv"))
    _write_lines(naming, NAMING_COLUMNS, ([row[it] for it in NAMING_COLUMNS] for row in rows))
    parts = (
        _sha256(_table(study, "cases.csv")),
        hashlib.sha256(naming.getvalue().encode()).digest(),
        _sha256(_table(study, IMAGES)),
    )
    return hashlib.sha256(b"".join(parts)).hexdigest()


IMAGES = "images.npy"
CASE_COLUMNS = ("scan", "group", "label", "mask", "split")
CASE_OPTIONAL = ("kind", "size_mm")  # of a case's fields
NAMING_COLUMNS = ("row", "scan", "slice", "split", "label")
IMAGE_COLUMNS = (*NAMING_COLUMNS, "group", "position", "foreground")
DIGITS = 6  # of positions and shares: a pixel of 1,000 × 1,000


def _write_cases(path: Path, cases: list[SplitCase]) -> None:
    """Without the columns `kind` and `size_mm` where no case has any."""
    optional = [name for name in CASE_OPTIONAL if any(getattr(it.case, name) for it in cases)]
    lines = ((*_case_line(it), *(getattr(it.case, name) for name in optional)) for it in cases)
    _write_csv(path, (*CASE_COLUMNS, *optional), lines)


def _case_line(it: SplitCase) -> tuple[str, ...]:
    mask = "" if it.case.mask is None else it.case.mask.as_posix()
    return it.case.scan.as_posix(), it.case.group, _label(it.case.normal), mask, it.split


def _image_line(image: ImageRow) -> tuple[str | int | float, ...]:
    return (
        *(image.scan.as_posix(), image.slice, image.split, _label(image.normal), image.group),
        *(round(image.position, DIGITS), round(image.foreground, DIGITS)),
    )


def _label(normal: bool) -> str:
    return "normal" if normal else "abnormal"


def _case_of(line: dict[str, str]) -> SplitCase:
    case = Case(
        scan=Path(line["scan"]),
        group=line["group"],
        normal=line["label"] == "normal",
        mask=Path(line["mask"]) if line["mask"] else None,
        kind=line.get("kind", ""),
        size_mm=float(line["size_mm"]) if line.get("size_mm") else None,
    )
    return SplitCase(case=case, split=cast(Split, line["split"]))


def _row_of(line: dict[str, str]) -> ImageRow:
    return ImageRow(
        scan=Path(line["scan"]),
        slice=int(line["slice"]),
        split=cast(Split, line["split"]),
        normal=line["label"] == "normal",
        group=line.get("group", ""),
        position=float(line.get("position", 0.5)),
        foreground=float(line.get("foreground", 1.0)),
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


def _write_csv(path: Path, columns: tuple[str, ...], lines: Iterable[Sequence[Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        _write_lines(file, columns, lines)


def _write_lines(
    file: io.TextIOBase, columns: tuple[str, ...], lines: Iterable[Sequence[Any]]
) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
