"""Healthy scans of another data set, and copies of them with planted anomalies and exact masks.

For validation and test where no pathology is at hand, in the manner of the MOOD challenge. Only
scans of those two sides are planted, after groups were dealt: what is trained on stays healthy, and
a copy is on the side of its original, which stays in as a normal scan. Abnormal scans of the other
data set are left out.

Copies are written once, when the study is prepared, before any model is scored on them. `Case.kind`
says what was planted and `Case.size_mm` how large it is, so that results can be told by both.

Every trivial score of brightness stays at a slice-wise AUROC of at most 0.75 on `healthy_t1`:
`python -m benchmarks.artificial_baselines`.
"""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from infer.errors import UnreadableScanError
from infer.readers import read
from infer.readers.reading import ENDINGS
from infer.volume import Volume
from infer.writers.atomic import write_bytes
from train.data import SplitCase
from train.datasets.case import BadDatasetError, Case, from_root
from train.datasets.planted_file import encode_mask, encode_scan, ending_of
from train.datasets.planting import Planted, PlantingConfig, healthy, kind_of, plant


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtificialOptions:
    """Whose scans, and what is planted into them."""

    of: str  # a data set of the catalog; `data.source` is its source
    options: dict[str, Any]  # its own
    planting: PlantingConfig

    def __post_init__(self) -> None:
        if self.of == "artificial":
            raise ValueError("of must be a data set of scans: artificial ones are planted once")


def healthy_cases(cases: Sequence[Case]) -> list[Case]:
    """The normal ones.

    Raises:
        BadDatasetError: there is none.
    """
    normal = [case for case in cases if case.normal]
    if not normal:
        raise BadDatasetError(
            "the data set holds no normal scan that an anomaly could be planted into",
            hint="check data.source and data.options.of",
        )
    return normal


def with_planted(
    divided: list[SplitCase], options: ArtificialOptions, out: Path
) -> list[SplitCase]:
    """All cases and, of those that validate or test, their abnormal copies.

    Copies go beside `out`, into artificial/, and masks into artificial_masks/: under the names
    that the scans have below the folder which holds them all.

    Raises:
        BadDatasetError: a scan's voxels have no size, or its format cannot hold a copy.
    """
    chosen = [it for it in divided if it.split != "train"]
    if not chosen:
        return divided
    above = Path(os.path.commonpath([it.case.scan.parent for it in chosen]))
    _refuse_one_name(chosen)
    one = partial(_copies, planting=options.planting, above=above, out=out)
    with ThreadPoolExecutor() as pool:
        copies = [copy for found in pool.map(one, chosen) for copy in found]
    return divided + copies


def _copies(it: SplitCase, *, planting: PlantingConfig, above: Path, out: Path) -> list[SplitCase]:
    """The abnormal copies of a scan, written; fewer where there is no room, which is said."""
    try:
        volume = read(it.case.scan)
    except UnreadableScanError as error:
        _say(f"nothing is planted into {it.case.scan}: {error}")
        return []
    try:
        ending = ending_of(volume)
        spacing_mm = _spacing_mm(volume, planting)
    except BadDatasetError as error:
        raise BadDatasetError(f"{it.case.scan} {error}", hint=error.hint) from error
    scan = healthy(volume, spacing_mm, planting)
    name = _without_ending(it.case.scan.relative_to(above))
    copies = []
    for number in range(planting.per_scan):
        planted = plant(scan, number, planting)
        if planted is None:
            kind = kind_of(scan, number, planting)
            _say(f"skipped: {it.case.scan} has no room for {kind} in its tissue")
            continue
        at = name.with_name(f"{name.name}_{number:02}_{planted.kind}{ending}")
        copies.append(replace(it, case=_written(planted, volume, it.case, at, out)))
    return copies


def _written(planted: Planted, volume: Volume, original: Case, at: Path, out: Path) -> Case:
    scan, mask = out.with_name("artificial") / at, out.with_name("artificial_masks") / at
    write_bytes(scan, encode_scan(planted.voxels, volume))
    write_bytes(mask, encode_mask(planted.mask, volume))
    return replace(
        original,
        scan=from_root(scan),
        normal=False,
        mask=from_root(mask),
        kind=planted.kind,
        size_mm=planted.size_mm,
    )


def _spacing_mm(volume: Volume, planting: PlantingConfig) -> tuple[float, ...]:
    if volume.spacing_mm is not None:
        return volume.spacing_mm
    if planting.pixel_mm is None:
        raise BadDatasetError(
            "does not say how large its pixels are",
            hint="say it as pixel_mm; with 1.0, radii_mm and margin_mm count pixels",
        )
    return (planting.pixel_mm,) * (volume.voxels.ndim - 1)


def _without_ending(path: Path) -> Path:
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return path.with_name(path.name[: -len(ending)])
    return path


def _refuse_one_name(chosen: list[SplitCase]) -> None:
    """Copies are called after their scans, and have an ending of their own.

    Raises:
        BadDatasetError: the copies of two scans would be one file.
    """
    named: dict[Path, Path] = {}
    for scan in (it.case.scan for it in chosen):
        if (other := named.setdefault(_without_ending(scan), scan)) != scan:
            raise BadDatasetError(
                f"{other} and {scan} differ in their ending only: their copies would be one file",
                hint="give one of them another name",
            )


def _say(line: str) -> None:
    print(line, file=sys.stderr)
