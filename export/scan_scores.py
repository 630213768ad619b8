"""Score scan files as the product does: its readers, its findings, any engine."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from infer.errors import UadError
from infer.finding import Engine, Finding, find_all
from infer.manifest import Manifest
from infer.readers import read
from infer.readers.choice import seen_along
from infer.shapes import Mask
from infer.slicing import Plane
from infer.volume import Volume
from train.datasets.case import Case

BATCH_SIZE = 32  # images; results are the same in the last digits only for equal batches
VOXELS_AT_ONCE = 1 << 22  # scans are read together until they hold so many: bounds the memory
THREADS = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredScan:
    """A scan, what was found in it, and what is true of it."""

    case: Case
    volume: Volume
    finding: Finding
    truth: Mask | None  # on the volume's grid; empty for a normal scan; None: not known


def score_scans(cases: Iterable[Case], manifest: Manifest, engine: Engine) -> Iterator[ScoredScan]:
    """Every case with its finding, in the order given; a scan that cannot be read is an error."""
    choice = seen_along(manifest.plane)
    yield from score_volumes(((case, read(case.scan, choice)) for case in cases), manifest, engine)


def score_volumes(
    scans: Iterable[tuple[Case, Volume]], manifest: Manifest, engine: Engine
) -> Iterator[ScoredScan]:
    """The same for scans that somebody else reads, one at a time."""
    waiting: list[tuple[Case, Volume]] = []
    held = 0
    for case, volume in scans:
        waiting.append((case, volume))
        held += volume.voxels.size
        if held >= VOXELS_AT_ONCE:
            yield from _score(waiting, manifest, engine)
            waiting, held = [], 0
    yield from _score(waiting, manifest, engine)


def is_anomalous(finding: Finding, manifest: Manifest) -> bool:
    """What the shipped thresholds say of a scan."""
    if manifest.anomalous_by == "mask":
        return bool(finding.mask.any())
    return finding.score > manifest.score_threshold.value


def _score(
    waiting: list[tuple[Case, Volume]], manifest: Manifest, engine: Engine
) -> Iterator[ScoredScan]:
    volumes = [volume for _, volume in waiting]
    findings = find_all(volumes, manifest, engine, batch_size=BATCH_SIZE)
    for (case, volume), finding in zip(waiting, findings, strict=True):
        truth = truth_of(case, volume, manifest.plane)
        yield ScoredScan(case=case, volume=volume, finding=finding, truth=truth)


def truth_of(case: Case, volume: Volume, plane: Plane) -> Mask | None:
    """Where a scan is abnormal, as far as its dataset knows.

    Raises:
        UadError: the mask does not fit the scan.
    """
    spatial = volume.voxels.shape[1:]
    if case.normal:
        return np.zeros(spatial, bool)
    if case.mask is None:
        return None
    mask: Mask = np.any(read(case.mask, seen_along(plane)).voxels, axis=0)
    if mask.shape != spatial:
        raise UadError(f"the mask {case.mask} is {mask.shape}, its scan is {spatial}")
    return mask
